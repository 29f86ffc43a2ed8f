"""The fuzzer of the service finds nothing in a few hundred requests."""

import fuzz_serve


def test_damaged_requests_are_answered_or_ended_and_nothing_leaks():
    report = fuzz_serve.fuzz_service(200)
    assert report.escapes == [], str(report)
    assert report.requests == 200
    assert {"200", "400", "413", "422"} <= set(report.answers)
