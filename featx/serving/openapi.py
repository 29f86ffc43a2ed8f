"""The description of a service, as OpenAPI 3.1 has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

_LABEL = {"type": ["string", "integer", "boolean", "null"]}
_NUMBER = {"type": ["number", "null"]}
#: What the columns of an answer are.
COLUMNS: dict[str, dict[str, Any]] = {
    "label": {
        **_LABEL,
        "description": "The class; null if the picture cannot be read or the model is unsure.",
    },
    "best_guess": {**_LABEL, "description": "The most probable class, sure or not."},
    "probability": {**_NUMBER, "description": "That of the best guess, 0 to 1."},
    "unfamiliar": {
        "type": ["boolean", "null"],
        "description": "Whether the picture is unlike those of training.",
    },
    "unfamiliarity": {**_NUMBER, "description": "By how much: above 1 it is unfamiliar."},
    "outcome": {"type": "string", "description": '"failed" for what cannot be read.'},
    "reason": {"type": ["string", "null"], "description": "Why it cannot be read."},
}
_TOP = {
    "type": "array",
    "description": "Classes with their probabilities, the best guess first.",
    "items": {"type": "array", "prefixItems": [_LABEL, _NUMBER], "minItems": 2, "maxItems": 2},
}
_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "schema": {"type": "integer", "enum": [0, 1]},
    "description": "Whether to draw what in the picture speaks for the best guess.",
}
_HEAT = {
    "type": ["string", "null"],
    "description": "That drawing, a PNG as a data URL; null if it cannot be made.",
}
_ASK_NEAREST = {
    "name": "nearest",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": 12},
    "description": "How many training pictures to show that are most like the picture.",
}
_NEAREST = {
    "type": "array",
    "description": "These training pictures, the nearest first.",
    "items": {
        "type": "object",
        "properties": {
            "label": _LABEL,
            "similarity": {"type": "number"},
            "picture": {"type": "string", "description": "A JPEG as a data URL."},
        },
        "required": ["label", "similarity", "picture"],
    },
}
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "code": {"type": "string"}},
    "required": ["error"],
}
_REFUSALS = {
    "400": "No picture, a damaged form or an unknown parameter.",
    "401": "No token, or another one.",
    "403": "A page of another site asks.",
    "408": "The request comes too slowly.",
    "413": "Too large, or too many pictures.",
    "415": "No type that is taken.",
    "421": "The service is not known by the name in Host.",
    "503": "Too much to do: come again after the seconds of Retry-After.",
}
_REFUSED_CORRECTIONS = {
    "422": "No picture that can be read, or a label that is no name.",
    "500": "The table or the picture cannot be written.",
    "507": "The disk is full, or as many are kept as may be.",
}
_BINARY = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in ("image/*", "application/octet-stream")
}
_CORRECTION = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "replaced": {"type": "boolean"}},
    "required": ["label", "replaced"],
}
_FILES = {
    "type": "object",
    "properties": {"picture": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}


def document_of(
    columns: Sequence[str], *, has_examples: bool = False, collects: bool = False
) -> dict[str, Any]:
    """Describe a service whose answers have these columns.

    `has_examples` says whether the model has training pictures to show, and `collects` whether
    corrections are kept.
    """
    extras = {"heat": _HEAT} | ({"nearest": _NEAREST} if has_examples else {})
    row = {name: COLUMNS[name] for name in columns} | {"top": _TOP} | extras
    parameters = [_EXPLAIN, *([_ASK_NEAREST] if has_examples else [])]
    return {
        "openapi": "3.1.0",
        "info": {"title": "featx", "version": version("featx")},
        "paths": {
            "/predict": {"post": _predict(parameters)},
            **({"/corrections": {"post": _correct()}} if collects else {}),
            "/model": {"get": _getting("What the model is.", "#/components/schemas/Model")},
            "/healthz": {"get": _getting("Whether it is ready.", "#/components/schemas/Health")},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": {
                "Prediction": {
                    "type": "object",
                    "properties": row,
                    "required": [*columns, "top"],
                },
                "Predictions": _predictions(),
                "Model": _model(),
                "Health": {
                    "type": "object",
                    "properties": {"status": {"type": "string", "enum": ["ready", "starting"]}},
                    "required": ["status"],
                },
                **({"Correction": _CORRECTION} if collects else {}),
                "Error": _ERROR,
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _predict(parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    top = {
        "name": "top",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "default": 5},
        "description": "How many classes to name.",
    }
    return {
        "summary": "Labels of pictures, in their order.",
        "parameters": [top, *parameters],
        "requestBody": {
            "required": True,
            "content": {
                **_BINARY,
                "multipart/form-data": {"schema": _FILES},
            },
        },
        "responses": {
            "200": {
                "description": "A row for each picture; some may have failed.",
                "content": _json("#/components/schemas/Predictions"),
            },
            "422": {
                "description": "None of the pictures can be read.",
                "content": _json("#/components/schemas/Predictions"),
            },
            **_refused(_REFUSALS),
        },
    }


def _correct() -> dict[str, Any]:
    texts = {
        "label": "The right class, which may be a new one.",
        "predicted": "What the model said, for the table.",
    }
    return {
        "summary": "Keep a picture with its right class.",
        "parameters": [
            {
                "name": name,
                "in": "query",
                "schema": {"type": "string"},
                "required": name == "label",
                "description": text,
            }
            for name, text in texts.items()
        ],
        "requestBody": {"required": True, "content": _BINARY},
        "responses": {
            "200": {
                "description": "It is kept, in place of an earlier one of the same picture.",
                "content": _json("#/components/schemas/Correction"),
            },
            **_refused(_REFUSALS | _REFUSED_CORRECTIONS),
        },
    }


def _refused(reasons: Mapping[str, str]) -> dict[str, Any]:
    return {
        status: {"description": text, "content": _json("#/components/schemas/Error")}
        for status, text in reasons.items()
    }


def _predictions() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "predictions": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/Prediction"},
            },
            "error": {"type": "string"},
        },
        "required": ["predictions"],
    }


def _model() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "classes": {"type": "array", "items": _LABEL},
            "recipe": {"type": "string"},
            "rejects": {"type": "boolean"},
            "knows_familiarity": {"type": "boolean"},
            "card": {"type": "object"},
        },
        "required": ["classes", "recipe", "rejects", "knows_familiarity", "card"],
    }


def _metrics() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "summary": "What the service has done, as Prometheus reads it.",
        "responses": {"200": {"description": "Counts and times.", "content": text}},
    }


def _getting(summary: str, schema: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "responses": {"200": {"description": summary, "content": _json(schema)}},
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": schema}}}
