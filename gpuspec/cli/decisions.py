"""Commands that say what to buy or rent: at one time, and over quarters."""

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from gpuspec.base.errors import InputError
from gpuspec.cli.asking import asking
from gpuspec.cli.common import (
    UNANSWERED,
    echo,
    echo_json,
    echo_runs,
    print_table,
    tell,
)
from gpuspec.cli.options import json_option, run_option
from gpuspec.views.columns import headings

if TYPE_CHECKING:
    from gpuspec.decision.decide import Decision
    from gpuspec.decision.plan.most import MostQuestion
    from gpuspec.decision.scenario import DecisionQuestion, Scenario
    from gpuspec.decision.upgrade import UpgradeQuestion


save_option = click.option("--save", metavar="FILE", help="Write the question as a YAML file.")


@asking("decision", first="scenario", dated=True, instead=lambda record, given: True)
@save_option
@json_option
@run_option
def plan(
    question: "DecisionQuestion",
    changes: dict[str, object],
    save: str | None,
    as_json: bool,
    as_run: bool,
) -> None:
    """Say what to buy or rent for SCENARIO: a YAML or JSON file, a shipped name, or what is stated.

    \b
    gpuspec plan --model 70B --users 2000 --deadline 30d --budget 30000/month --owned 8xA100
    gpuspec plan article-b --monthly-usd 40000
    gpuspec plan mine.yaml -p workloads[1].concurrency=256
    gpuspec plan mine.yaml --run
    Amounts, times and days as people write them: docs/asking.md.
    """
    scenario = question.over(changes)
    if save:
        from gpuspec.decision.scenario.writing import save as write

        write(scenario, save, question.scenario)
    answered(scenario, question.language, as_json, as_run)


def answered(scenario: "Scenario", lang: str, as_json: bool, as_run: bool = False) -> None:
    """Print what to buy or rent for a scenario."""
    from gpuspec.base.spread import aside
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.breakeven import break_evens
    from gpuspec.decision.plan.record import plan_record
    from gpuspec.decision.plan.words_page import answer_page, rest_page
    from gpuspec.decision.plan.words_settings import settings_text
    from gpuspec.decision.plan.words_tables import works_table
    from gpuspec.decision.plan.words_worth import worth_page
    from gpuspec.decision.running import plan_runs
    from gpuspec.decision.worth import worth

    decision = decide(scenario)
    if not decision.feasible:
        nothing(decision, lang, as_json)
    if as_run and not as_json:
        echo_runs(plan_runs(decision.best))
        return
    if as_json:
        more = {"run": [run.told() for run in plan_runs(decision.best)]} if as_run else {}
        echo_json(plan_record(decision) | more)
        return
    taken = aside(lambda: settings_text(decision, lang, ("spare replicas",)).text)
    evens = break_evens(decision)
    tell(f"{decision.scenario.name}\n\n{answer_page(decision, lang).text}\n")
    rows = works_table(decision, lang).reset_index().astype(str)
    print_table(list(rows.columns), rows.to_numpy().tolist())
    tell(f"\n{rest_page(decision, evens, lang).text}")
    if known := worth_page(decision, worth(decision), lang).text:
        tell(f"\n{known}")
    if said := taken():
        tell(f"\n{said}")


@asking("most", first="scenario", dated=True, instead=lambda record, given: record.begins(given))
@json_option
def most(question: "MostQuestion", changes: dict[str, object], as_json: bool) -> None:
    """Say how large the load of SCENARIO can be within its limits, or how fast at a price.

    \b
    gpuspec most --model 70B --users 2000 --power-kw 40
    gpuspec most --model 70B --users 2000 --owned 16xA100 --owned-only
    gpuspec most mine.yaml --mtok-usd 5
    """
    from gpuspec.decision.plan.most import most as search
    from gpuspec.decision.plan.words_line import assumed_text
    from gpuspec.decision.plan.words_most import most_record, most_text

    found = search(question, question.over(changes))
    if as_json:
        echo_json(most_record(found))
    else:
        tell(f"{found.asked.name}\n\n{most_text(found, question.language)}")
        if taken := assumed_text(found.asked, found.decision, question.language):
            tell(f"\n{taken.text}")
    if not found.holds:
        sys.exit(UNANSWERED)


@asking("decision", first="scenario", dated=True, name="quotes", instead=lambda record, given: True)
@click.option("-o", "--output", metavar="FILE", help="CSV file to write; printed unless given.")
@json_option
def ask_quotes(
    question: "DecisionQuestion", changes: dict[str, object], output: str | None, as_json: bool
) -> None:
    """Write what to ask sellers before signing the plan of SCENARIO, as a CSV table.

    \b
    gpuspec quotes mine.yaml -o quotes.csv
    Fill in the column price, then: gpuspec plan mine.yaml --quotes quotes.csv
    """
    from gpuspec.base.files import check_writable, path_of, write_atomically
    from gpuspec.base.rows import csv_text
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.request import REQUEST, request
    from gpuspec.decision.plan.words_page import decision_finding
    from gpuspec.decision.plan.words_worth import request_sentence
    from gpuspec.decision.worth import worth
    from gpuspec.topics.cost.prices.quotes import answered_rows

    path = path_of("output", output) if output else None
    if path:
        check_writable("output", path)
        if path.is_file() and answered_rows(path):
            valid = "it holds prices that were filled in; name another file"
            raise InputError("output", str(path), valid)
    decision, lang = decide(question.over(changes)), question.language
    known = worth(decision)
    rows = request(decision, known, lang).to_dict("records")
    if as_json:
        echo_json({"quotes": rows})
    elif path is None:
        echo(csv_text(REQUEST, rows).rstrip("\n"))
    if path:
        write_atomically(path, csv_text(REQUEST, rows).encode())
        click.echo(f"{path}: {request_sentence(rows, known, decision, lang)}", err=as_json)
    if not decision.feasible:
        click.echo(f"gpuspec: {decision_finding(decision, lang)}", err=True)
        sys.exit(UNANSWERED)


@asking("decision", first="scenario", name="worth", dated=True, instead=lambda record, given: True)
@json_option
def worth_knowing(question: "DecisionQuestion", changes: dict[str, object], as_json: bool) -> None:
    """Rank what to know before signing the plan of SCENARIO: quotes, trials, one's own wishes.

    \b
    gpuspec worth mine.yaml
    gpuspec worth --model 70B --users 2000 --owned 8xA100
    Whether limits, load, hours and spare replicas are needed as stated is worth money too.
    """
    from gpuspec.decision.decide import decide
    from gpuspec.decision.plan.words_worth import knowing_text, worth_record, worth_table
    from gpuspec.decision.worth import worth

    decision = decide(question.over(changes))
    if not decision.feasible:
        nothing(decision, question.language, as_json)
    known = worth(decision, questions=True, anew=True)
    if as_json:
        echo_json(worth_record(decision, known))
        return
    tell(f"{decision.scenario.name}\n\n{knowing_text(decision, known, question.language)}")
    if len(rows := worth_table(decision, known, question.language)):
        echo("")
        print_table(list(rows.columns), rows.to_numpy().tolist())


@asking("decision", first="scenario", dated=True, instead=lambda record, given: True)
@json_option
def trial(question: "DecisionQuestion", changes: dict[str, object], as_json: bool) -> None:
    """Say which one or two measurements change the decision on SCENARIO most, and write them.

    \b
    gpuspec trial mine.yaml
    gpuspec trial --model 70B --users 2000
    On which GPUs, for how long, at what cost, the commands, and what to do with what they write.
    """
    from gpuspec.decision.decide import decide
    from gpuspec.decision.trial import told, trial_text, trials
    from gpuspec.decision.worth import worth
    from gpuspec.views.language import say

    decision = decide(question.over(changes))
    if not decision.feasible:
        nothing(decision, question.language, as_json)
    found = trials(decision, worth(decision), str(question.scenario or "SCENARIO"))
    if as_json:
        echo_json({"trials": told(found)})
        return
    echo(decision.scenario.name)
    if not found:
        echo("\n" + say("No measurement of speed changes this decision."))
    for one in found:
        echo(f"\n{trial_text(one)}\n\n{one.run.text}")


def nothing(decision: "Decision", language: str, as_json: bool) -> NoReturn:
    """Say what must give where nothing keeps all limits, and end with the exit code of that."""
    from gpuspec.decision.plan.record import answer_record
    from gpuspec.decision.plan.words_page import answer_page, rest_page

    if as_json:
        echo_json(answer_record(decision))
    else:
        tell(f"{decision.scenario.name}\n\n{answer_page(decision, language).text}\n")
        tell(rest_page(decision, None, language).text)
    sys.exit(UNANSWERED)


@asking("upgrade", first="scenario", dated=True, instead=lambda record, given: record.begins(given))
@json_option
def upgrade(question: "UpgradeQuestion", changes: dict[str, object], as_json: bool) -> None:
    """Say what to add to the fleet of a SCENARIO (a name or a YAML file), and when.

    \b
    gpuspec upgrade mine.yaml --drift up
    gpuspec upgrade --model 70B --users 5000 --owned 16xA100 --budget 60000/month
    Fields of the file: docs/upgrade.md.
    """
    from gpuspec.decision import upgrade as fleet
    from gpuspec.decision.plan.record import answer_record
    from gpuspec.decision.plan.words_line import assumed_text
    from gpuspec.decision.scenario import scenario_of
    from gpuspec.decision.upgrade import words
    from gpuspec.views.columns import amount

    if changes:
        laid = scenario_of(question.scenario, question, changes, question.language)
        question = question.but(scenario=laid)
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
        [words.NAMES[r["strategy"]], *(amount(r[c]) for c in money), r["meaning"]]
        for r in table.to_dict("records")
    ]
    print_table(headings("strategy", *money, "meaning"), rows)
    said = [words.upgrade_finding(decision) + ".", words.rented_sentence(decision.best)]
    said += [words.sharing_sentence(decision), words.cost_sentence(decision)]
    said.append(words.moves_sentence(decision))
    said += [words.ground_sentence(decision), words.effort_finding(decision) + "."]
    said.append(question.stated.doubts)
    if taken := assumed_text(question.stated, decision, question.language):
        said.append(taken.text)
    tell("\n" + "\n".join(line for line in said if line))
