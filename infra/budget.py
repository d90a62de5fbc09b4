"""AWS Budgets: who is told when the bill of a stack's resources nears and passes its limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_aws import budgets

from infra import names

NOTICES: Final = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""(what is compared, percent of the limit) of each notice."""


@dataclass(frozen=True, kw_only=True)
class MonthlyBudgetArgs:
    """Arguments: the cluster whose tag is on what is billed, USD a month, and who is told."""

    stack_names: names.StackNames
    limit_usd: int
    emails: Sequence[str]


class MonthlyBudget(pulumi.ComponentResource):
    """A monthly budget of what carries the stack's tag ``cluster``.

    The tag is in bills once the account has activated it for cost allocation; until then the budget counts nothing.
    Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """

    def __init__(self, name: str, args: MonthlyBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("otel-on-spot:index:MonthlyBudget", name, None, opts)
        budgets.Budget(
            f"{name}-monthly",
            name=args.stack_names.budget,
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.limit_usd),
            limit_unit="USD",
            cost_filters=[
                budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[f"user:cluster${args.stack_names.cluster}"])
            ],
            notifications=[
                budgets.BudgetNotificationArgs(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=list(args.emails),
                )
                for kind, percent in NOTICES
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
