"""Commands that say what to buy or rent: at one time, and over quarters."""

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from gpuspec.cli.asking import asking
from gpuspec.cli.common import UNANSWERED, echo, echo_json, json_option, pairs, print_table
from gpuspec.views.columns import headings

if TYPE_CHECKING:
    from gpuspec.decision.decide import Decision
    from gpuspec.decision.scenario import DecisionQuestion, Scenario
    from gpuspec.decision.upgrade import UpgradeQuestion


save_option = click.option("--save", metavar="FILE", help="Write the question as a YAML file.")


@asking("decision", first="scenario", instead=lambda record, given: True)
@click.option("-p", "--param", "params", multiple=True, metavar="K=V", help="Set a value by path.")
@save_option
@json_option
def plan(
    question: "DecisionQuestion", params: tuple[str, ...], save: str | None, as_json: bool
) -> None:
    """Say what to buy or rent for SCENARIO: a YAML or JSON file, a shipped name, or what is stated.

    \b
    gpuspec plan --model 70B --users 2000 --deadline 30d --budget 30000/month --owned 8xA100
    gpuspec plan article-b --monthly-usd 40000
    gpuspec plan mine.yaml -p workloads[1].concurrency=256
    Amounts, times and days as people write them: docs/asking.md.
    """
    from gpuspec.decision.scenario import parsed

    given = {k: parsed(v) for k, v in pairs(params).items()}
    scenario = question.over(given)
    if save:
        from gpuspec.decision.scenario.writing import save as write

        write(scenario, save, question.scenario)
    answered(scenario, question.language, as_json)


def answered(scenario: "Scenario", lang: str, as_json: bool) -> None:
    """Print what to buy or rent for a scenario."""
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.breakeven import break_evens
    from gpuspec.decision.plan.record import answer_record
    from gpuspec.decision.plan.words_page import answer_page, rest_page
    from gpuspec.decision.plan.words_settings import settings_text
    from gpuspec.decision.plan.words_tables import works_table

    decision = decide(scenario)
    if not decision.feasible:
        nothing(decision, lang, as_json)
    evens = break_evens(decision)
    if as_json:
        echo_json(answer_record(decision, evens))
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


@asking("upgrade", first="scenario", instead=lambda record, given: record.begins(given))
@json_option
def upgrade(question: "UpgradeQuestion", as_json: bool) -> None:
    """Say what to add to the fleet of a SCENARIO (a name or a YAML file), and when.

    \b
    gpuspec upgrade mine.yaml --drift up
    gpuspec upgrade --model 70B --users 5000 --owned 16xA100 --budget 60000/month
    Fields of the file: docs/upgrade.md.
    """
    from gpuspec.decision import upgrade as fleet
    from gpuspec.decision.plan.record import answer_record
    from gpuspec.decision.plan.words_line import assumed_text
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
    said += [words.cost_sentence(decision), words.moves_sentence(decision)]
    said += [words.ground_sentence(decision), words.effort_finding(decision) + "."]
    said.append(question.stated.doubts)
    if taken := assumed_text(question.stated, decision, question.language):
        said.append(taken.text)
    echo("\n" + "\n".join(line for line in said if line))
