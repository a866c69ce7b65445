"""Calls a running stack with the client that openapi-python-client generates.

BASE_URL, API_KEY and RECEIVER_URL are set by tests/clients/run.
"""

import os
import time
import uuid

from answerback_client import AuthenticatedClient, models
from answerback_client.api.answers import create_answer
from answerback_client.api.deliveries import list_attempts
from answerback_client.api.events import create_event, get_event, list_events
from answerback_client.api.requests import create_request, get_request, list_requests
from answerback_client.api.results import get_result
from answerback_client.api.webhooks import (
    create_webhook,
    delete_webhook,
    list_webhook_attempts,
    list_webhooks,
    trigger_webhook,
)

ATTEMPT_POLLS_MAX = 100
ATTEMPT_POLL_INTERVAL_SECONDS = 0.1


def check_errors(client):
    invalid = models.NewRequest(title="", timeout_seconds=1)
    problem = create_request.sync(client=client, body=invalid)
    assert isinstance(problem, models.ValidationProblem), problem
    assert any(it.pointer == "/title" for it in problem.errors), problem

    stranger = AuthenticatedClient(base_url=os.environ["BASE_URL"], token="wrong")
    problem = list_requests.sync(client=stranger)
    assert isinstance(problem, models.UnauthorizedProblem), problem


def check_requests(client):
    question = models.NewRequest(
        title="Deploy v2.4.1?",
        recipients=["ada@example.com"],
        options=[
            models.Option(value="approve", label="Approve"),
            models.Option(value="reject", label="Reject"),
        ],
        quorum="all",
        external_reference_id="deploy-v2.4.1",
    )
    created = create_request.sync(client=client, body=question, idempotency_key=str(uuid.uuid4()))
    assert isinstance(created, models.Request), created

    found = get_request.sync(created.id, client=client)
    assert isinstance(found, models.Request) and found.status == "pending", found
    page = list_requests.sync(client=client, status="pending", limit=100)
    assert isinstance(page, models.RequestList), page
    assert created.id in [it.id for it in page.data], page

    token = created.recipients[0].answer_url.rsplit("/", 1)[1]
    answered = create_answer.sync(token, client=client, body=models.Answer(option="approve"))
    assert isinstance(answered, models.RecordedAnswer), answered
    problem = create_answer.sync(token, client=client, body=models.Answer(option="reject"))
    assert isinstance(problem, models.AlreadyAnsweredProblem), problem
    assert problem.response.option == "approve", problem

    result = get_result.sync(created.id, client=client)
    assert isinstance(result, models.SubmittedResult), result
    assert result.result.decision == "approve", result
    assert result.result.responses[0].recipient == "ada@example.com", result


def check_events(client):
    data = models.JobData(execution_id="exec-42", status="succeeded")
    posted = create_event.sync(client=client, body=models.NewEvent(type_="job.completed", data=data))
    assert isinstance(posted, models.Event), posted
    page = list_events.sync(client=client)
    assert isinstance(page, models.EventList), page
    assert posted.id in [it.id for it in page.data], page
    found = get_event.sync(posted.id, client=client)
    assert isinstance(found, models.Event) and found.data["executionId"] == "exec-42", found


def check_webhooks(client):
    name, url = f"python-{uuid.uuid4()}", os.environ["RECEIVER_URL"]
    created = create_webhook.sync(client=client, body=models.NewWebhook(id=name, url=url))
    assert isinstance(created, models.CreatedWebhook) and created.secret, created
    page = list_webhooks.sync(client=client)
    assert isinstance(page, models.WebhookList), page
    assert (name, url) in [(it.id, it.url) for it in page.data], page

    delivery = trigger_webhook.sync(name, client=client, body=models.WebhookTrigger())
    assert isinstance(delivery, models.Delivery), delivery
    attempt = first_attempt(client, name)
    assert attempt.response.status == 204, attempt
    page = list_attempts.sync(client=client, delivery_id=delivery.id)
    assert isinstance(page, models.AttemptList), page
    assert [it.id for it in page.data] == [attempt.id], page
    assert delete_webhook.sync_detailed(name, client=client).status_code == 204


def first_attempt(client, name):
    for _ in range(ATTEMPT_POLLS_MAX):
        page = list_webhook_attempts.sync(name, client=client)
        assert isinstance(page, models.AttemptList), page
        if page.data:
            return page.data[0]
        time.sleep(ATTEMPT_POLL_INTERVAL_SECONDS)
    raise AssertionError("no attempt was made")


def main():
    client = AuthenticatedClient(base_url=os.environ["BASE_URL"], token=os.environ["API_KEY"])
    check_errors(client)
    check_requests(client)
    check_events(client)
    check_webhooks(client)
    print("The generated Python client and the running stack agree.")


if __name__ == "__main__":
    main()
