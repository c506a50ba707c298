"""Examples of what there is: items, users, models, the deployment. By the name of the component."""

from __future__ import annotations

from typing import Any

_VERSION = "20260101T120000.000Z"
_BEFORE = "20260101T110000.000Z"
_SNAPSHOT_AT_MS = 1_767_268_800_000
_SIZES = {"users": 3_000, "items": 1_682, "likes": 51_568}
_DUNE = {
    "item_id": "dune",
    "likes": 412,
    "title": "Dune",
    "image_url": "https://example.com/dune.jpg",
    "categories": ["science fiction"],
    "labels": {"year": 1984},
}
_MODEL = {
    "version": _VERSION,
    "current": True,
    "snapshot_at_ms": _SNAPSHOT_AT_MS,
    "ranker": "blend",
    **_SIZES,
    "bytes": 9_700_000,
    "sound": None,
    "canary": {
        "state": "promoted",
        "kind": "split",
        "experiment": "canary-20260101t120000-000z",
        "share": 0.1,
        "started_at_ms": _SNAPSHOT_AT_MS,
        "ended_at_ms": _SNAPSHOT_AT_MS + 3_600_000,
        "reason": "It is not worse by more than the margin.",
        "effect": 0.031,
        "low": -0.008,
        "high": 0.044,
    },
}
_LISTS = {
    "lists": 1_204,
    "shown": 2_408,
    "likes": 163,
    "hit_rate": 0.121,
    "places": [
        {"place": 1, "shown": 1_204, "likes": 102},
        {"place": 2, "shown": 1_204, "likes": 61},
    ],
}
_RECIPE = {
    "ranker": "blend",
    "rank": 256,
    "user_exponent": 0.25,
    "item_exponent": 0.25,
    "ridge": 13.0,
    "ridge_exponent": 0.5,
    "query_exponent": 0.35,
    "score_exponent": 0.2,
    "similar_items": 150,
    "max_likes_per_user": 2_000,
    "neighbours": 50,
    "trees": 20,
}
_EXPERIMENT = {
    "name": "novel",
    "kind": "split",
    "seed": "novel",
    "started_at_ms": _SNAPSHOT_AT_MS,
    "share": 0.5,
    "window_s": 86_400.0,
    "variants": [{"name": "control"}, {"name": "novel", "defaults": {"novelty": 0.3}}],
}
_COUNTED = {
    "users": 1,
    "lists": 2,
    "shown": 2,
    "likes": 1,
    "hits": 1,
    "n2": 4,
    "ny": 2,
    "y2": 1,
    "popular": 1,
    "shown_at": [2],
    "likes_at": [1],
    "latency": [0, 2],
}
_VERDICT = {
    "comparisons": [
        {
            "variant": "novel",
            "effect": 0.048,
            "low": 0.012,
            "high": 0.084,
            "reach": 0.036,
            "decision": "better",
        }
    ],
    "guardrails": [],
    "sample_ratio_p": 0.43,
    "sample_ratio_ok": True,
    "alpha": 0.05,
    "sentence": "novel is better than control.",
}
_LAG = {"partitions": 6, "records": 51_568, "lag": 0, "held_back": 0}

RESOURCE_BODIES: dict[str, dict[str, Any]] = {
    "Comparing": {"previous": {"versions": ["previous", "current"], "users": 200}},
    "NewExperiment": {
        "novel": {
            "share": 0.5,
            "variants": [{"name": "control"}, {"name": "novel", "defaults": {"novelty": 0.3}}],
        },
        "interleaved": {
            "kind": "interleaved",
            "variants": [{"name": "control"}, {"name": "links", "ranker": "neighbours"}],
        },
    },
    "Replaying": {"code": {"codes": ["not_json"]}, "count only": {"dry_run": True}},
}
"""Of each body, its examples by name."""

RESOURCE_ANSWERS: dict[str, Any] = {
    "ItemPage": {"items": [_DUNE], "cursor": "Wy00MTIsMTIzXQ"},
    "CategoryCount": {"name": "drama", "items": 1_234},
    "ItemDetails": {**_DUNE, "known": True, "retired": False},
    "PublishedDocument": {"position": "0:17"},
    "LikesPage": {"items": [_DUNE], "total": 1, "cursor": None},
    "User": {
        "user_id": "ann",
        "likes": 12,
        "signals": {"dislike": 1},
        "shown": [
            {
                "at_ms": _SNAPSHOT_AT_MS,
                "recommendation_id": "01J8Z7Q4",
                "page": 1,
                "items": ["solaris", "alien"],
            }
        ],
    },
    "ScenarioPage": {"scenarios": [{"name": "home", "defaults": {"count": 12}}], "cursor": None},
    "NamedScenario": {"name": "home", "defaults": {"count": 12}},
    "ExperimentPage": {"experiments": [_EXPERIMENT], "cursor": None},
    "ShownExperiment": {
        "experiment": _EXPERIMENT,
        "tally": {
            "variants": {"control": _COUNTED, "novel": _COUNTED},
            "cross": 0,
            "items": {"control": 2, "novel": 2},
            "by_scenario": {},
        },
        "verdict": _VERDICT,
    },
    "StartedExperiment": {"position": "0:17", "experiment": _EXPERIMENT, "notes": []},
    "AvailableRanker": {
        "ranker": "blend",
        "version": _VERSION,
        "current": True,
        "description": "All singular vectors, and the links between items that they leave out.",
    },
    "ModelPage": {"versions": [_MODEL], "cursor": None},
    "ModelDetails": {
        "version": _VERSION,
        "current": True,
        "snapshot_at_ms": _SNAPSHOT_AT_MS,
        **_SIZES,
        "rank": 256,
        "recipe": _RECIPE,
        "weights": {"dislike": -0.5},
        "build": {"seconds": {"factors": 0.8, "links": 0.4}, "choice": None},
        "files": {"item_factors.npy": {"bytes": 1_722_496, "sha256": "9f86d081"}},
    },
    "ModelComparison": {
        "versions": [_BEFORE, _VERSION],
        "users": 200,
        "overlap": 0.91,
        "examples": [
            {
                "user_id": "ann",
                "overlap": 0.5,
                "lists": [[{"item_id": "dune", "title": "Dune"}], [{"item_id": "solaris"}]],
            }
        ],
    },
    "Announcement": {
        "version": _VERSION,
        "snapshot_at_ms": _SNAPSHOT_AT_MS,
        **_SIZES,
        "ranker": "blend",
    },
    "DeadLetterGroups": {
        "groups": [
            {
                "code": "not_json",
                "meaning": "The value is not JSON in UTF-8.",
                "remedy": "Fix the client.",
                "count": 3,
                "examples": [
                    {
                        "position": "0:12",
                        "detail": "the body ends too early",
                        "at_ms": _SNAPSHOT_AT_MS,
                        "source": {"topic": "likes", "partition": 3, "offset": 1_042},
                        "key_base64": "YW5u",
                        "value_base64": "ew==",
                        "value_bytes": 1,
                        "truncated_bytes": None,
                    }
                ],
            }
        ],
        "total": 3,
        "not_read": 0,
    },
    "Replayed": {"sent": 3, "without_value": 0, "foreign": 0, "failed": 0, "failures": []},
    "SentMessage": {"topic": "likes", "position": "3:17", "reply": None},
    "Status": {
        "kafka": {
            "likes": {"topic": "likes", "group": "likewise-consumers", **_LAG},
            "requests": {"topic": "recommendation-requests", "group": "likewise-servers", **_LAG},
            "items": {"topic": "items", "group": "likewise-consumers", **_LAG},
            "scenarios": {"topic": "scenarios", "group": "likewise-consumers", **_LAG},
            "experiments": {"topic": "experiments", "group": "likewise-consumers", **_LAG},
            "dead_letters": 0,
            "gone": 0,
            "not_applied": 0,
        },
        "redis": {
            "users": None,
            "likes": None,
            "scattered_users": 0,
            "retired_items": 0,
            "items": 1_682,
            "scenarios": 1,
            "experiments": [
                {
                    "name": "ridge",
                    "state": "running",
                    "kind": "split",
                    "canary": False,
                    "started_at_ms": _SNAPSHOT_AT_MS,
                    "lists": 2_410,
                    "likes": 317,
                    "sentence": "No difference between `ridge` and `control` found yet; "
                    "an effect above 21.4% would have shown.",
                }
            ],
            "outside_experiments": {
                "total": {"scenario": None, **_LISTS},
                "scenarios": [{"scenario": "home", **_LISTS}],
            },
            "changed_users": 42,
            "model": {
                "version": _VERSION,
                "snapshot_at_ms": _SNAPSHOT_AT_MS,
                **_SIZES,
                "ranker": "blend",
            },
        },
        "unreachable": [],
        "model_store": {"url": "s3://bucket/models", "versions": 3, "has_current": True},
    },
}
