"""Commands that say what to buy or rent: at one time, and over quarters."""

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from gpuspec.cli.asking import asking
from gpuspec.cli.common import (
    UNANSWERED,
    echo,
    echo_json,
    echo_runs,
    json_option,
    pairs,
    print_table,
    run_option,
)
from gpuspec.views.columns import headings

if TYPE_CHECKING:
    from gpuspec.decision.decide import Decision
    from gpuspec.decision.scenario import DecisionQuestion
    from gpuspec.decision.upgrade import UpgradeQuestion


@asking("decision", first="scenario", needed=True)
@click.option("-p", "--param", "params", multiple=True, metavar="K=V", help="Set a value by path.")
@json_option
@run_option
def plan(
    question: "DecisionQuestion", params: tuple[str, ...], as_json: bool, as_run: bool
) -> None:
    """Say what to buy or rent for SCENARIO: a YAML or JSON file, or a shipped name.

    \b
    gpuspec plan article-b --monthly-usd 40000
    gpuspec plan mine.yaml -p workloads[1].concurrency=256
    gpuspec plan mine.yaml --run
    """
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.breakeven import break_evens
    from gpuspec.decision.plan.record import answer_record, outside_record
    from gpuspec.decision.plan.words_page import answer_page, rest_page
    from gpuspec.decision.plan.words_settings import settings_text
    from gpuspec.decision.plan.words_tables import works_table
    from gpuspec.decision.running import plan_runs
    from gpuspec.decision.scenario import parsed

    given = {k: parsed(v) for k, v in pairs(params).items()}
    decision, lang = decide(question.over(given)), question.language
    if not decision.feasible:
        nothing(decision, lang, as_json)
    if as_run and not as_json:
        echo_runs(plan_runs(decision.best))
        return
    evens = break_evens(decision)
    if as_json:
        more = {"run": [run.told() for run in plan_runs(decision.best)]} if as_run else {}
        echo_json({**answer_record(decision, evens), **outside_record(decision), **more})
        return
    echo(f"{decision.scenario.name}\n\n{answer_page(decision, lang).text}\n")
    rows = works_table(decision, lang).reset_index().astype(str)
    print_table(list(rows.columns), rows.to_numpy().tolist())
    echo(f"\n{rest_page(decision, evens, lang).text}")
    if taken := settings_text(decision, lang, ("spare replicas",)).text:
        echo(f"\n{taken}")


def nothing(decision: "Decision", language: str, as_json: bool) -> NoReturn:
    """Say what must give where nothing keeps all limits, and end with the exit code of that."""
    from gpuspec.decision.plan.record import answer_record
    from gpuspec.decision.plan.words_page import answer_page, rest_page

    if as_json:
        echo_json(answer_record(decision))
    else:
        echo(f"{decision.scenario.name}\n\n{answer_page(decision, language).text}\n")
        echo(rest_page(decision, None, language).text)
    sys.exit(UNANSWERED)


@asking("upgrade", first="scenario")
@json_option
def upgrade(question: "UpgradeQuestion", as_json: bool) -> None:
    """Say what to add to the fleet of a SCENARIO (a name or a YAML file), and when.

    \b
    gpuspec upgrade mine.yaml --drift up
    Fields of the file: docs/upgrade.md.
    """
    from gpuspec.decision import upgrade as fleet
    from gpuspec.decision.plan.record import answer_record
    from gpuspec.decision.upgrade import words

    decision = question.decision
    if not decision.feasible:
        nothing(decision, question.language, as_json)
    table = fleet.strategy_table(decision)
    if as_json:
        told = answer_record(decision, None)
        told |= {"orders": fleet.orders_table(decision.best), "strategies": table}
        told |= {"runs": fleet.runs_table(decision.best)}
        echo_json(told)
        return
    money = ("expected_usd", "upfront_usd")
    rows = [
        [words.NAMES[r["strategy"]], *(f"{r[c]:,.0f}" for c in money), r["meaning"]]
        for r in table.to_dict("records")
    ]
    print_table(headings("strategy", *money, "meaning"), rows)
    said = [words.upgrade_finding(decision) + ".", words.rented_sentence(decision.best)]
    said += [words.sharing_sentence(decision), words.cost_sentence(decision)]
    said.append(words.moves_sentence(decision))
    said += [words.ground_sentence(decision), words.effort_finding(decision) + "."]
    said.append(question.stated.doubts)
    echo("\n" + "\n".join(line for line in said if line))
