"""The server against its own OpenAPI page: what schemathesis makes of the page is answered as the page says."""

from __future__ import annotations

import collections
import logging

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from synthesizeme.serving.access import Access
from synthesizeme.serving.app import ServerSettings
from synthesizeme.serving.requests import Limits

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 12
TOKEN = "admin-token-123456"
WITH_BODY = ("POST /v1/score", "POST /v1/compare", "POST /get_reward", "POST /v1/users/{user_id}/pairs",
             "POST /v1/users/{user_id}/feedback", "PUT /v1/users/{user_id}/words",
             "POST /v1/users/{user_id}/persona")  # fmt: skip
WITHOUT_INPUT = ("GET /metrics", "GET /healthz", "GET /readyz")
OPERATIONS = (
    *WITH_BODY,
    "GET /v1/users/{user_id}/persona",
    "GET /v1/users/{user_id}",
    "DELETE /v1/users/{user_id}",
    *WITHOUT_INPUT,
)


@pytest.fixture
def described(serve, model):
    """A server that asks for tokens, with small limits, and what its page says."""
    small = ServerSettings(limits=Limits(rows=3, text=80, user_id=24))
    live = serve(model, settings=small, access=Access([("admin", TOKEN)]))
    found = (
        result.ok()
        for result in schemathesis.openapi.from_url(f"{live.url}/openapi.json").get_all_operations()
    )
    return live, {operation.label: operation for operation in found}


def ask(strategy):
    """Calls made by `strategy`, each held against the page; how often each status came."""
    statuses = collections.Counter()

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy)
    def check(case):
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        statuses[answer.status_code] += 1
        # What no schema can say (the last message is the user's, queries begin with their prompts) is said by
        # the 422 that the page describes, so a body that fits the schema may be refused.
        case.validate_response(answer, excluded_checks=[schemathesis.checks.positive_data_acceptance])

    check()
    return statuses


def test_the_page_describes_these_operations(described):
    _, operations = described
    assert set(operations) == set(OPERATIONS)


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_fits_the_page_is_answered_as_it_says(described, label, caplog):
    caplog.set_level(logging.INFO)
    live, operations = described
    statuses = ask(operations[label].as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
    assert max(statuses) < 500
    if label in WITHOUT_INPUT or label in WITH_BODY[:2]:
        assert statuses[200]
    said = [record.getMessage() for record in caplog.records if record.name.startswith("synthesizeme")]
    told = ("OpenRLHF gets no reward", "(said once; strip=none leaves it in)")
    assert not [line for line in said if not any(words in line for words in told)]
    assert live.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label not in WITHOUT_INPUT])
def test_what_does_not_fit_the_page_is_refused_as_it_says(described, label):
    live, operations = described
    before = dict(live.rewards.model.users_)
    statuses = ask(operations[label].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    assert max(statuses) < 500
    assert all(live.rewards.model.users_[user] is state for user, state in before.items())


def test_routes_that_ask_for_a_token_say_so(described):
    live, _ = described
    document = live.client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            address = path.replace("{user_id}", "u0")
            answer = live.client.request(method, address, headers={"Content-Type": "application/json"})
            assert (answer.status_code == 401) == ("security" in operation), (method, path)
