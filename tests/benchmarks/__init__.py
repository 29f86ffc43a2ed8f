"""How fast featx is, beside plain Keras and beside what the machine allows.

python -m tests.benchmarks --json results.json
python -m tests.benchmarks.picture results.json benchmark.png
"""
