//! Expectations made by real Salt and Jinja2 (`tests/jinja/make.py`), and what only kstate has: places and questions.
