"""Checks of the expanded template that no linter makes.

Each rule yields a sentence for everything that breaks it; `test_check.py` breaks each on purpose. The rules
about alarms, dashboard, docs/operations.md and parameters are in `operations.py`.

usage: check.py EXPANDED ROOT
       EXPANDED: the folder with the expanded templates; ROOT: the root of the project
"""

import json
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import operations
import yaml
from samcli.yamlhelper import yaml_parse

# Singular for 1, plural for more; AWS rejects anything else, and only during deployment.
RATE = re.compile(r"rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)")

# Recommended by AWS, so that a batch is not received again while its function still processes it.
VISIBILITY_PER_TIMEOUT_MIN = 6

# The fields that an access log may contain. A path contains the token of an answer link, a query may.
ACCESS_LOG_FIELDS = {
    "$context.requestId", "$context.routeKey", "$context.status", "$context.responseLength",
    "$context.responseLatency", "$context.integrationStatus", "$context.integrationLatency",
    "$context.integration.requestId", "$context.identity.sourceIp",
}  # fmt: skip

# The fields that it must contain: the route, the sender, and the name of the call in the function's log.
ACCESS_LOG_FIELDS_NEEDED = ["$context.routeKey", "$context.identity.sourceIp", "$context.integration.requestId"]

# The prefixes of the keys of API keys and accounts, which the workers must not write.
KEYS_OF_ACCESS = {"key_*", "acct_*"}
TABLE_WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem"}

# The encryption contexts of data keys for signing secrets, and for the secrets of notifiers.
SECRETS_CONTEXT = {"StringEquals": {"kms:EncryptionContext:answerback": "signing-secrets"}}
NOTIFIERS_CONTEXT = {"StringEquals": {"kms:EncryptionContext:kind": "notifier"}}
# Days for which the audit log is kept.
AUDIT_DAYS = 365
TLS_CONDITION = {"Bool": {"aws:SecureTransport": "false"}}

# Code that runs in functions: metrics are emitted and lines are logged there.
FUNCTIONS = ("functions", "shared/src")
# The parts of a statement that name resources, actions or principals.
POLICY_PARTS = ("Action", "Resource", "Principal")

# The only wildcards: type of resource, part, text. AWS requires the first. The second are the operator's verified
# senders of mail, which only exist after the deployment. Each of them needs a comment in the template.
IDENTITIES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*"
WILDCARDS = {("AWS::KMS::Key", "Resource", "*"), ("AWS::IAM::Role", "Resource", IDENTITIES)}

# The hint of what SES reports, made of the tags that `deliver` gives a mail.
MAIL_TAGS = {"id": "$.detail.mail.tags.notification[0]", "way": "$.detail.mail.tags.way[0]"}
MAIL_HINTS = {"Email Delivered": "arrival", "Email Bounced": "bounce", "Email Complaint Received": "bounce"}
# The actions that send mail by Amazon SES. A raw mail needs both.
SENDS_MAIL = {"ses:SendEmail", "ses:SendRawEmail"}

METHODS = {"get", "head", "post", "put", "patch", "delete", "options"}

# Contains the routes of `cargo lambda watch`.
MANIFEST = Path(__file__).resolve().parents[2] / "Cargo.toml"


class Project(NamedTuple):
    """Everything that the rules read."""

    # The template files as text, by path.
    texts: dict
    # template.yaml as written and as expanded by SAM; then the expanded templates in infra/.
    source: dict
    system: dict
    alarms: dict
    dashboard: dict
    # The OpenAPI document, and docs/operations.md.
    contract: dict
    operations: str
    # The source code of everything that runs in functions.
    functions: str


def of_type(template, kind):
    for name, resource in template["Resources"].items():
        if resource["Type"] == kind:
            yield name, resource.get("Properties", {}), resource


def target(value):
    """The logical id that a Ref or a GetAtt names, or None."""
    if isinstance(value, dict):
        if "Ref" in value:
            return value["Ref"]
        if "Fn::GetAtt" in value:
            return value["Fn::GetAtt"][0]
    return None


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def statements(value):
    """Every policy statement below `value`, including those in an Fn::If."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield value
        for inner in value.values():
            yield from statements(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from statements(inner)


def has_null(value):
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    return any(map(has_null, value)) if isinstance(value, list) else value is None


def schedules_are_valid(template):
    for name, properties, _ in of_type(template, "AWS::Scheduler::Schedule"):
        expression = properties["ScheduleExpression"]
        if not RATE.fullmatch(expression):
            yield f"{name}: {expression} is not a schedule"
        if "Name" in properties:
            yield f"{name}: a fixed name collides with another stack"


def queues_outlast_their_functions(template):
    resources = template["Resources"]
    for name, properties, _ in of_type(template, "AWS::Lambda::EventSourceMapping"):
        queue = resources[target(properties["EventSourceArn"])]["Properties"]
        timeout = resources[target(properties["FunctionName"])]["Properties"]["Timeout"]
        # 30 s is the default of SQS.
        if queue.get("VisibilityTimeout", 30) < VISIBILITY_PER_TIMEOUT_MIN * timeout:
            yield f"{name}: the queue may deliver a hint again while its function still runs"
        if properties.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            yield f"{name}: one bad hint fails its whole batch"
        if target(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn")) not in resources:
            yield f"{name}: a hint that always fails returns forever"


def lanes_and_calls_have_limits(template):
    for name, properties, _ in of_type(template, "AWS::Lambda::EventSourceMapping"):
        lane = target(properties.get("ScalingConfig", {}).get("MaximumConcurrency"))
        if template["Parameters"].get(lane, {}).get("MaxValue", 0) not in range(2, 1001):
            yield f"{name}: its queue may use all concurrency of the account"
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Stage"):
        limits = properties.get("DefaultRouteSettings", {})
        if not limits.get("ThrottlingRateLimit") or not limits.get("ThrottlingBurstLimit"):
            yield f"{name}: does not limit calls"


def nothing_is_null(template):
    """CloudFormation rejects null, but SAM and cfn-lint do not: a lone `- # comment` makes one."""
    for name, resource in template["Resources"].items():
        if has_null(resource):
            yield f"{name}: contains null"


def policies_are_specific(template):
    """All kinds of policies: of roles, their trust, keys, queues, topics and buses."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if properties.get("ManagedPolicyArns"):
            yield f"{name}: a managed policy reaches beyond this stack"
        for statement in statements(properties):
            for part in sorted(statement.keys() & {"NotAction", "NotResource", "NotPrincipal"}):
                yield f"{name}: {part} matches all but a few"
            # A wildcard widens a denial, which is harmless.
            for part in POLICY_PARTS if statement["Effect"] == "Allow" else ():
                for text in strings(statement.get(part, [])):
                    if "*" in text and (resource["Type"], part, text) not in WILDCARDS:
                        yield f"{name}: {text} matches more than one resource"
        for statement in statements(properties.get("AssumeRolePolicyDocument", [])):
            if not isinstance(statement["Principal"], dict) or set(statement["Principal"]) != {"Service"}:
                yield f"{name}: more than a service may assume it"


def functions_have_specific_invokers(template):
    for name, properties, _ in of_type(template, "AWS::Lambda::Permission"):
        if properties["Action"] != "lambda:InvokeFunction" or "*" in properties["Principal"]:
            yield f"{name}: allows more than one service to invoke"
        source = properties.get("SourceArn", "*")
        if target(source) is None and not any("${" in text for text in strings(source)):
            yield f"{name}: any source may invoke it"


def functions_share_no_role_and_no_log(template):
    seen = set()
    for name, properties, _ in of_type(template, "AWS::Lambda::Function"):
        role = target(properties["Role"])
        group = target(properties.get("LoggingConfig", {}).get("LogGroup"))
        if template["Resources"].get(group, {}).get("Type") != "AWS::Logs::LogGroup":
            yield f"{name}: Lambda creates its log group, which never expires"
        for used in (role, group):
            if used in seen:
                yield f"{name}: {used} is shared with another function"
            seen.add(used)


def logs_expire(template):
    for name, properties, _ in of_type(template, "AWS::Logs::LogGroup"):
        if "RetentionInDays" not in properties:
            yield f"{name}: never expires"


def access_logs_have_route_and_sender_but_no_path(template):
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Stage"):
        settings = properties.get("AccessLogSettings")
        if not settings:
            yield f"{name}: no access log"
            continue
        fields = set(json.loads(settings["Format"]).values())
        for field in sorted(fields - ACCESS_LOG_FIELDS):
            yield f"{name}: {field} may contain the token of an answer link"
        for field in ACCESS_LOG_FIELDS_NEEDED:
            if field not in fields:
                yield f"{name}: the access log lacks {field}"


def tables_are_retained_encrypted_and_expire_items(template):
    for name, properties, resource in of_type(template, "AWS::DynamoDB::Table"):
        if not properties.get("TimeToLiveSpecification", {}).get("Enabled"):
            yield f"{name}: expired items are not deleted"
        recovery = properties.get("PointInTimeRecoverySpecification", {})
        if not recovery.get("PointInTimeRecoveryEnabled"):
            yield f"{name}: point-in-time recovery is off"
        if not properties.get("SSESpecification", {}).get("SSEEnabled"):
            yield f"{name}: encryption is not enabled"
        if not properties.get("DeletionProtectionEnabled"):
            yield f"{name}: deletion protection is off"
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(policy) != "Retain":
                yield f"{name}: {policy} must be Retain"
        for index in properties.get("GlobalSecondaryIndexes", []):
            if index["Projection"] != {"ProjectionType": "KEYS_ONLY"}:
                yield f"{name}: index {index['IndexName']} must project keys only"


def queues_are_encrypted(template):
    for name, properties, _ in of_type(template, "AWS::SQS::Queue"):
        if not properties.get("SqsManagedSseEnabled"):
            yield f"{name}: encryption is not enabled"


def actions_of(statement):
    actions = statement["Action"]
    return set(actions if isinstance(actions, list) else [actions])


def functions_are_kept_to_their_items(template):
    """Statements on the table itself name the kinds of items; indexes hold keys only."""
    for name, properties, _ in of_type(template, "AWS::IAM::Role"):
        for statement in statements(properties.get("Policies", [])):
            actions = actions_of(statement)
            if not any(it.startswith("dynamodb:") for it in actions) or target(statement["Resource"]) is None:
                continue
            condition = statement.get("Condition", {})
            keys = condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
            others = condition.get("ForAllValues:StringNotLike", {}).get("dynamodb:LeadingKeys", [])
            if len(condition) != 1 or not (keys or set(others) >= KEYS_OF_ACCESS):
                yield f"{name}: {sorted(actions)} reaches items of every kind"
            if name == "DeliverRole" and actions & TABLE_WRITES and KEYS_OF_ACCESS & set(keys):
                yield f"{name}: a worker may write {sorted(KEYS_OF_ACCESS & set(keys))}"
            if name == "DeliverRole" and "key_*" in keys:
                yield f"{name}: a worker may read API keys"


def data_keys_are_for_secrets(template):
    for name, properties, _ in of_type(template, "AWS::IAM::Role"):
        for statement in statements(properties.get("Policies", [])):
            is_kms = any(it.startswith("kms:") for it in actions_of(statement))
            if is_kms and statement.get("Condition") not in (SECRETS_CONTEXT, NOTIFIERS_CONTEXT):
                yield f"{name}: the KMS key works for other data than secrets"
            is_open = "kms:Decrypt" in actions_of(statement)
            if name == "IntakeRole" and is_open and statement.get("Condition") != NOTIFIERS_CONTEXT:
                yield f"{name}: may open other secrets than those of notifiers"


def only_deliver_sends_mail(template):
    """By the stack's configuration set, and only if the operator wants it."""
    for name, properties, _ in of_type(template, "AWS::IAM::Role"):
        for statement in statements(properties.get("Policies", [])):
            if not any(it.startswith("ses:") for it in actions_of(statement)):
                continue
            resources = list(strings(statement["Resource"]))
            if name != "DeliverRole" or actions_of(statement) != SENDS_MAIL:
                yield f"{name}: {sorted(actions_of(statement))} is more than sending the mail of messages"
            if not any("configuration-set/${SesConfigurationSet}" in it for it in resources):
                yield f"{name}: may not use the stack's configuration set"
        for policy in properties.get("Policies", []):
            always = [it for it in policy["PolicyDocument"]["Statement"] if "Action" in (it or {})]
            if any(it.startswith("ses:") for statement in always for it in actions_of(statement)):
                yield f"{name}: may send mail even if SendsBySes is false"


def rules_pass_hints_on_and_no_mail(template):
    """The event has the whole head of a mail. The queue gets the tags, and the template matches `ses.rs`."""
    for name, properties, resource in of_type(template, "AWS::Events::Rule"):
        if resource.get("Condition") != "HasSes":
            yield f"{name}: must depend on SendsBySes"
        tags = properties["EventPattern"]["detail"]["mail"]["tags"]
        if tags.get("ses:configuration-set") != [{"Ref": "SesConfigurationSet"}]:
            yield f"{name}: matches mail of other systems"
        [event] = properties["EventPattern"]["detail-type"]
        template_of_hint = f'{{"kind": "{MAIL_HINTS.get(event)}", "id": <id>, "way": <way>}}'
        hint = {"InputPathsMap": MAIL_TAGS, "InputTemplate": template_of_hint}
        for part in properties["Targets"]:
            if part.get("InputTransformer") != hint or target(part["Arn"]) != "HintQueue":
                yield f"{name}: passes on more than a hint"
            invokers = strings(template["Resources"]["HintQueuePolicy"]["Properties"]["PolicyDocument"])
            if name not in {it.removesuffix(".Arn") for it in invokers}:
                yield f"{name}: may not send to the queue"


def mail_is_not_tracked(template):
    """Tracking would replace the links of a mail, and load an image in it."""
    for name, properties, resource in of_type(template, "AWS::SES::ConfigurationSet"):
        if "TrackingOptions" in properties:
            yield f"{name}: tracks links"
        if not properties.get("ReputationOptions", {}).get("ReputationMetricsEnabled"):
            yield f"{name}: measures no reputation"
        if resource.get("Condition") != "HasSes":
            yield f"{name}: must depend on SendsBySes"


def calls_without_tls_are_refused(template, kind, policy, subjects):
    """Each queue or topic is a subject of a policy that denies calls without TLS."""
    covered = set()
    for _, properties, _ in of_type(template, policy):
        for statement in statements(properties["PolicyDocument"]):
            if statement["Effect"] == "Deny" and statement.get("Condition") == TLS_CONDITION:
                if statement["Principal"] == "*":
                    covered |= {target(it) for it in properties[subjects]}
    for name, _, _ in of_type(template, kind):
        if name not in covered:
            yield f"{name}: accepts calls without TLS"


def queues_refuse_calls_without_tls(template):
    return calls_without_tls_are_refused(template, "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues")


def deliver_knows_the_address_of_the_api(template):
    """`deliver` does not start without it. The API's own functions must not refer to the API, which refers to them."""
    for name, properties, _ in of_type(template, "AWS::Lambda::Function"):
        variables = properties.get("Environment", {}).get("Variables", {})
        has_address = any("${HttpApi}" in it for it in strings(variables.get("PUBLIC_BASE_URL", "")))
        if has_address != (name == "DeliverFunction"):
            yield f"{name}: PUBLIC_BASE_URL must be the API's own address in `deliver`, and only there"


def default_endpoint_is_off_only_with_a_domain(template):
    """A proxy in front of the API calls the default endpoint."""
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Api"):
        server = properties["Body"].get("servers", [{}])[0]
        setting = server.get("x-amazon-apigateway-endpoint-configuration", {})
        if setting.get("disableExecuteApiEndpoint") != {"Fn::If": ["HasDomain", True, False]}:
            yield f"{name}: the default endpoint must be off with a domain of this stack, and only then"
    for kind in ("AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping"):
        if [it.get("Condition") for _, _, it in of_type(template, kind)] != ["HasDomain"]:
            yield f"{kind}: there must be one, with HasDomain"


def audit_log_is_kept_for_a_year(template):
    """The functions that serve HTTP write audit lines, which a function copies."""
    resources = template["Resources"]
    followed = {}
    for name, properties, _ in of_type(template, "AWS::Logs::SubscriptionFilter"):
        if properties["FilterPattern"] == '{ $.target = "audit" }':
            followed[target(properties["LogGroupName"])] = target(properties["DestinationArn"])
        else:
            yield f"{name}: selects other lines than those of the audit log"
    allowed = {
        target(it["SourceArn"])
        for _, it, _ in of_type(template, "AWS::Lambda::Permission")
        if it["Principal"] == "logs.amazonaws.com" and it.get("SourceAccount") == {"Ref": "AWS::AccountId"}
    }
    for group in ("IntakeLogs", "PollLogs"):
        if group not in followed or group not in allowed:
            yield f"{group}: its audit lines are not copied"
    for function in sorted(set(followed.values())):
        group = resources[target(resources[function]["Properties"]["LoggingConfig"]["LogGroup"])]
        if group["Properties"].get("RetentionInDays", 0) < AUDIT_DAYS or group.get("DeletionPolicy") != "Retain":
            yield f"{function}: its log group loses audit lines within a year"


def routes_of(paths):
    """Every `GET /path` of a document's `paths`, without the other members of a path."""
    return {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method in operations
        if method in METHODS
    }


def routes_match_the_contract(template, contract):
    promised = routes_of(contract["paths"])
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Api"):
        deployed = routes_of(properties["Body"]["paths"])
        for route in sorted(promised - deployed):
            yield f"{name}: {route} is documented but not deployed"
        for route in sorted(deployed - promised):
            yield f"{name}: {route} is deployed but not documented"


def watching(router, method, path):
    """The function that `cargo lambda watch` calls: by path, otherwise by method."""
    functions = router.get(path, router["/{*path}"])
    if isinstance(functions, str):
        return functions
    return next((it["function"] for it in functions if it["method"] == method), None)


def cargo_lambda_watch_has_the_same_routes(template):
    manifest = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))
    router = manifest["workspace"]["metadata"]["lambda"]["watch"]["router"]
    for name, properties, _ in of_type(template, "AWS::ApiGatewayV2::Api"):
        paths = properties["Body"]["paths"]
        for method, path in sorted(it.split(" ") for it in routes_of(paths)):
            integration = paths[path][method.lower()].get("x-amazon-apigateway-integration", {})
            deployed = re.findall(r"\$\{(\w+)Function\.Arn\}", " ".join(strings(integration)))
            function = watching(router, method, path)
            if deployed != [str(function).capitalize()]:
                yield f"{name}: {method} {path} is deployed as {deployed} but watched as {function}"


RULES = [
    cargo_lambda_watch_has_the_same_routes,
    schedules_are_valid,
    queues_outlast_their_functions,
    lanes_and_calls_have_limits,
    nothing_is_null,
    policies_are_specific,
    functions_have_specific_invokers,
    functions_share_no_role_and_no_log,
    logs_expire,
    access_logs_have_route_and_sender_but_no_path,
    tables_are_retained_encrypted_and_expire_items,
    queues_are_encrypted,
    functions_are_kept_to_their_items,
    data_keys_are_for_secrets,
    only_deliver_sends_mail,
    mail_is_not_tracked,
    rules_pass_hints_on_and_no_mail,
    deliver_knows_the_address_of_the_api,
    queues_refuse_calls_without_tls,
    default_endpoint_is_off_only_with_a_domain,
    audit_log_is_kept_for_a_year,
]


@cache
def wildcards_say_why(source):
    """In the template as written, each `*` has a comment behind it or on the line before."""
    lines = source.splitlines()
    silent = []
    for node in wildcards(yaml.compose(source, Loader=yaml.CSafeLoader)):
        line = node.end_mark.line
        behind, before = lines[line][node.end_mark.column :], lines[line - 1].strip()
        if "#" not in behind and not before.startswith("#"):
            silent.append(f"line {line + 1}: {node.value} needs a comment that says why AWS requires it")
    return silent


def wildcards(node, named=False):
    """Every text with a `*` in `POLICY_PARTS` of a statement."""
    if isinstance(node, yaml.MappingNode):
        is_statement = any(key.value == "Effect" for key, _ in node.value)
        for key, value in node.value:
            yield from wildcards(value, named or (is_statement and key.value in POLICY_PARTS))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from wildcards(value, named)
    elif named and "*" in node.value:
        yield node


def problems(project):
    found = [problem for rule in RULES for problem in rule(project.system)]
    found += [problem for rule in operations.RULES for problem in rule(project)]
    found += [f"{path}, {problem}" for path, text in project.texts.items() for problem in wildcards_say_why(text)]
    found += calls_without_tls_are_refused(project.alarms, "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "Topics")
    return found + list(routes_match_the_contract(project.system, project.contract))


def load(expanded, root):
    """Loads the project: expanded templates from one folder, everything else from the other."""
    expanded, root = Path(expanded), Path(root)
    parts = {it: json.loads((expanded / f"{it}.json").read_text()) for it in ("template", "alarms", "dashboard")}
    texts = {it: (root / it).read_text() for it in ("template.yaml", "infra/alarms.yaml", "infra/dashboard.yaml")}
    return Project(
        texts=texts,
        source=yaml_parse(texts["template.yaml"]),
        system=parts["template"],
        alarms=parts["alarms"],
        dashboard=parts["dashboard"],
        contract=json.loads((root / "shared/openapi/openapi.json").read_text()),
        operations=(root / "docs/operations.md").read_text(),
        functions="".join(it.read_text() for part in FUNCTIONS for it in sorted((root / part).rglob("*.rs"))),
    )


if __name__ == "__main__":
    faults = problems(load(sys.argv[1], sys.argv[2]))
    n_rules = len(RULES) + len(operations.RULES) + 3
    print("\n".join(faults) if faults else f"template: {n_rules} rules hold")
    sys.exit(1 if faults else 0)
