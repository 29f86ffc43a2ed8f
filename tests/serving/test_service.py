"""The service answers what the model says of pictures, and says what it is."""

import threading

import fakes
import pytest
from json_schema import check

import featx
from featx.serving.gate import Access
from featx.serving.limits import ServeLimits

PNG = {"Content-Type": "image/png"}


def test_a_picture_as_the_body_is_answered_as_predict_does(client, model, red, tmp_path):
    path = tmp_path / "red.png"
    path.write_bytes(red)
    response = client.post("/predict", content=red, headers=PNG)
    (answer,) = response.json()["predictions"]
    (row,) = model.predictions(path, cache=False).rows
    top = answer.pop("top")
    assert response.status_code == 200
    assert answer == {name: each for name, each in row.items() if name != "path"}
    assert answer["label"] == "red"
    assert top[0] == ["red", answer["probability"]]
    assert {label for label, _ in top} == {"red", "green", "blue"}
    assert sum(share for _, share in top) == pytest.approx(1)


def test_pictures_of_a_form_are_answered_in_their_order(client, red, blue):
    files = [("picture", (name, data)) for name, data in (("a", red), ("b", b"x"), ("c", blue))]
    response = client.post("/predict", files=files, data={"note": "no picture"})
    assert response.status_code == 200
    answers = response.json()["predictions"]
    assert [each["label"] for each in answers] == ["red", None, "blue"]
    assert answers[1]["outcome"] == "failed"
    assert answers[1]["reason"] == "not an image that Pillow can read"
    assert [set(each) for each in answers] == [set(answers[0])] * 3


def test_names_of_files_and_paths_of_the_server_are_in_no_answer(client, red):
    files = [("picture", ("../../etc/passwd<script>", red)), ("picture", ("x.png", b"x"))]
    text = client.post("/predict", files=files).text
    assert "passwd" not in text
    assert "path" not in text


def test_so_many_classes_are_named_as_are_asked_for(client, red):
    def top(text):
        return client.post(f"/predict?top={text}", content=red, headers=PNG)

    assert len(top("2").json()["predictions"][0]["top"]) == 2
    assert len(top("999999999").json()["predictions"][0]["top"]) == 3
    for wrong in ("0", "-1", "x", "1.5", "9" * 5000, "٣"):
        assert top(wrong).status_code == 400
    assert "parameter is unknown" in client.post("/predict?tpo=1", content=red, headers=PNG).text


def test_a_picture_that_cannot_be_read_is_a_mistake_of_the_client(client):
    response = client.post("/predict", content=b"no picture", headers=PNG)
    assert response.status_code == 422
    assert response.json()["error"] == "not an image that Pillow can read"
    assert response.json()["predictions"][0]["label"] is None


def test_a_model_that_is_unsure_says_its_best_guess(photos, serve):
    model = featx.train(photos, reject=0.9, cache=False)
    with serve(model) as client:
        purple = fakes.encoded(fakes.Image.new("RGB", (30, 20), (110, 60, 120)))
        answer = client.post("/predict", content=purple, headers=PNG).json()["predictions"][0]
        assert answer["label"] is None
        assert answer["best_guess"] in model.classes
        assert client.get("/model").json()["rejects"] is True


def test_classes_of_any_name_are_answered(photos, fake_engine, serve, red):
    name = 'r\udc80é"\n<b>'
    (photos / "red").rename(photos / name)
    with serve(featx.train(photos, cache=False)) as client:
        response = client.post("/predict", content=red, headers=PNG)
        assert response.json()["predictions"][0]["label"] == name
        assert response.content.isascii()
        assert name in client.get("/model").json()["classes"]


def test_pixels_are_counted_before_they_are_decoded(serve, red):
    with serve(limits=ServeLimits(pixels=599)) as client:
        response = client.post("/predict", content=red, headers=PNG)
    assert response.status_code == 422
    assert response.json()["error"] == "too many pixels: 30x20, at most 599"


def test_what_is_too_much_is_refused(serve, red):
    limits = ServeLimits(picture_bytes=2000, request_bytes=5000, pictures=2)
    with serve(limits=limits) as client:
        assert client.post("/predict", content=bytes(2001), headers=PNG).status_code == 413
        assert client.post("/predict", content=bytes(5001), headers=PNG).status_code == 413
        files = [("picture", ("a.png", red))] * 3
        assert client.post("/predict", files=files).status_code == 413
        assert client.post("/predict", files=files[:2]).status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"x", {}, 415),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"x", {"Content-Type": "image/png", "Content-Encoding": "gzip"}, 415),
        (b"", PNG, 400),
        (b"x", {"Content-Type": "multipart/form-data"}, 400),
        (b"x", {"Content-Type": "multipart/form-data; boundary=a"}, 400),
        (b"--a\r\n\r\nx\r\n--a--\r\n", {"Content-Type": "multipart/form-data; boundary=a"}, 400),
        (b"--a\r\n\r\nx\r\n--a", {"Content-Type": "multipart/form-data; boundary=a"}, 400),
        (b"x", {"Content-Type": f"multipart/form-data; boundary={'a' * 300}"}, 400),
    ],
)
def test_what_holds_no_picture_is_refused_in_a_line(client, content, headers, status):
    response = client.post("/predict", content=content, headers=headers)
    assert response.status_code == status
    assert "\n" not in response.json()["error"]


def test_unknown_paths_and_methods_are_refused(client):
    assert client.get("/etc/passwd").json() == {"error": "Not Found"}
    assert client.get("/predict").status_code == 405


def test_the_model_says_what_it_is(client, model):
    about = client.get("/model").json()
    assert about["classes"] == ["blue", "green", "red"]
    assert about["recipe"] == str(model.recipe)


def test_counts_are_those_of_what_was_asked(client, red):
    client.post("/predict", content=red, headers=PNG)
    client.post("/predict", content=b"x", headers=PNG)
    client.get("/some/path")
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert 'featx_requests_total{route="/predict",status="200"} 1' in lines
    assert 'featx_requests_total{route="/predict",status="422"} 1' in lines
    assert 'featx_requests_total{route="other",status="404"} 1' in lines
    assert 'featx_pictures_total{outcome="answered"} 1' in lines
    assert 'featx_pictures_total{outcome="failed"} 1' in lines
    assert "featx_queued_pictures 0" in lines
    assert "featx_in_flight_requests 1" in lines
    assert 'featx_batch_pictures_bucket{le="+Inf"} 1' in lines


def test_answers_are_as_the_service_describes_itself(client, red):
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for content in (red, b"x"):
        answer = client.post("/predict", content=content, headers=PNG)
        described = document["paths"]["/predict"]["post"]["responses"][str(answer.status_code)]
        check(answer.json(), described["content"]["application/json"]["schema"], schemas)
    for path in ("/model", "/healthz"):
        described = document["paths"][path]["get"]["responses"]["200"]
        check(client.get(path).json(), described["content"]["application/json"]["schema"], schemas)


def test_a_page_of_another_site_gets_nothing(client, red):
    assert client.get("/model", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/model", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/model", headers={"Host": "[::1]:8000"}).status_code == 200
    assert client.get("/model", headers={"Host": "[::1"}).status_code == 421
    other = PNG | {"Origin": "https://evil.example"}
    assert client.post("/predict", content=red, headers=other).status_code == 403
    damaged = PNG | {"Origin": "http://[::1"}
    assert client.post("/predict", content=red, headers=damaged).status_code == 403
    own = PNG | {"Origin": "http://localhost"}
    assert client.post("/predict", content=red, headers=own).status_code == 200


def test_pages_of_sites_that_are_named_may_ask(serve, red):
    origin = {"Origin": "https://example.com"}
    with serve(access=Access(origins=("https://example.com",))) as client:
        response = client.post("/predict", content=red, headers=PNG | origin)
        assert response.headers["access-control-allow-origin"] == "https://example.com"
        asked = origin | {"Access-Control-Request-Method": "POST"}
        assert client.options("/predict", headers=asked).status_code == 200
    with serve() as client:
        response = client.options("/predict", headers=asked)
        assert "access-control-allow-origin" not in response.headers


def test_a_token_is_asked_for_wherever_the_model_is(serve, red):
    with serve(access=Access(token="correct horse")) as client:
        for path in ("/model", "/metrics"):
            response = client.get(path)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
        assert client.post("/predict", content=red, headers=PNG).status_code == 401
        for wrong in ("Bearer correct", "Bearer", "Basic correct horse", "correct horse"):
            assert client.get("/model", headers={"Authorization": wrong}).status_code == 401
        right = {"Authorization": "Bearer correct horse", "Host": "any.example"}
        assert client.get("/model", headers=right).status_code == 200
        for path in ("/", "/healthz", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_answers_tell_browsers_to_do_nothing_with_them(client):
    for path in ("/healthz", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in headers


def test_the_check_finds_what_is_not_described():
    schema = {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}}
    check({"n": 1}, schema, {})
    check({"n": None}, schema, {})
    for wrong in ({"n": "1"}, {"m": 1}, []):
        with pytest.raises(AssertionError):
            check(wrong, schema, {})


def test_no_thread_is_left_when_it_ends(serve, red):
    def threads():
        return {each for each in threading.enumerate() if each.name.startswith("featx-")}

    before = threads()
    with serve() as client:
        client.post("/predict", content=red, headers=PNG)
        assert threads() - before
    assert threads() - before == set()
