"""A question in one line, in five questions, or from a template: what is understood, what not."""

import json
import re
import shlex
from datetime import date
from pathlib import Path

import pytest

from gpuspec.base.days import run_date
from gpuspec.base.documents import from_yaml
from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu
from gpuspec.catalog.exports import FREE, export_status
from gpuspec.catalog.models.typical import typical_model
from gpuspec.catalog.phrases import phrase, vocabulary
from gpuspec.decision.decide import decide
from gpuspec.decision.gives import what_gives
from gpuspec.decision.money import every_offer
from gpuspec.decision.scenario import DecisionQuestion, scenario, template, writing
from gpuspec.decision.scenario.records import KINDS
from gpuspec.decision.upgrade import UpgradeQuestion
from gpuspec.topics.cost.prices.sources import of_regions

README = Path(__file__).parents[1] / "README.md"
DAY = "2026-11-30"  # a Monday
EPOCH = "1796040000"
ASKED = {"scenario": None, "model": "8B"}
SERVICE = {"kind": "inference", "name": "s", "model": "Llama-3.1-8B", "concurrency": 8}


@pytest.fixture(autouse=True)
def today(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    assert run_date() == date.fromisoformat(DAY)


def stated(**names):
    return DecisionQuestion.ask(**(ASKED | names)).stated


def at(s, path):
    """Return the value of a scenario at a path such as workloads[0].users."""
    for part in re.findall(r"\w+", path):
        s = s[int(part)] if part.isdigit() else getattr(s, part)
    return s


# --- what is understood ---------------------------------------------------------------------------

SAID = [
    ({"budget": "30000/month"}, "budget.monthly_usd", 30_000),
    ({"budget": "30,000 USD/month"}, "budget.monthly_usd", 30_000),
    ({"budget": "$30k a month"}, "budget.monthly_usd", 30_000),
    ({"budget": "每月3万美元"}, "budget.monthly_usd", 30_000),
    ({"budget": "1.2M/year"}, "budget.monthly_usd", 100_000),
    ({"budget": "20万元"}, "budget.total_usd", pytest.approx(200_000 / 7.1, abs=0.01)),
    ({"budget": "二十万元"}, "budget.total_usd", pytest.approx(200_000 / 7.1, abs=0.01)),
    ({"budget": "1.5M"}, "budget.total_usd", 1_500_000),
    ({"budget": "500k capital + 30k per month"}, "budget.capital_usd", 500_000),
    ({"budget": "50万美元资本，3万美元/月"}, "budget.monthly_usd", 30_000),
    ({"capital_usd": "500k"}, "budget.capital_usd", 500_000),
    ({"users": "3万"}, "workloads[0].users", 30_000),
    ({"users": "2千人"}, "workloads[0].users", 2000),
    ({"users": "1,500 people"}, "workloads[0].users", 1500),
    ({"request_rate": "300/min"}, "workloads[0].request_rate", 5),
    ({"request_rate": "每秒5次"}, "workloads[0].request_rate", 5),
    ({"concurrency": "2k"}, "workloads[0].concurrency", 2000),
    ({"users": 9, "isl": "8k"}, "workloads[0].isl", 8000),
    ({"deadline": "30d"}, "workloads[0].deadline_days", 30),
    ({"deadline": "7天"}, "workloads[0].deadline_days", 7),
    ({"deadline": "2 weeks"}, "workloads[0].deadline_days", 14),
    ({"deadline": "两周"}, "workloads[0].deadline_days", 14),
    ({"deadline": "12 hours"}, "workloads[0].deadline_days", 0.5),
    ({"deadline": "by 2026-12-04"}, "workloads[0].deadline_days", 4),
    ({"deadline": "Friday"}, "workloads[0].deadline_days", 4),
    ({"deadline": "周五前"}, "workloads[0].deadline_days", 4),
    ({"deadline": "4 December"}, "workloads[0].deadline_days", 4),
    ({"deadline": "12月4日"}, "workloads[0].deadline_days", 4),
    ({"deadline": "3d", "simulation": "md", "model": None}, "workloads[0].deadline_days", 3),
    ({"deadline": "friday", "simulation": "md", "model": None}, "workloads[0].deadline_days", 4),
    ({"tokens": "20亿"}, "workloads[0].tokens", 2e9),
    ({"tokens": "2B tokens"}, "workloads[0].tokens", 2e9),
    ({"documents": "1万篇", "document_tokens": "2k"}, "workloads[0].tokens", 2e7),
    ({"model": "70B"}, "workloads[0].model", "llama-3.1-70b"),
    ({"model": "700亿"}, "workloads[0].model", "llama-3.1-70b"),
    ({"model": "1.5b"}, "workloads[0].model", "qwen2.5-1.5b"),
    ({"model": "Qwen2.5-72B"}, "workloads[0].model", "qwen2.5-72b"),
    ({"owned": "8xA100"}, "owned[0].count", 8),
    ({"owned": "八张A100"}, "owned[0].count", 8),
    ({"owned": "8 A100 80GB and 4 H100 PCIe"}, "owned[1].gpu", "h100-pcie-80"),
    ({"owned": "16张A100，8张H100"}, "owned[1].count", 8),
    ({"owned": "A100 x 8"}, "owned[0].gpu", "a100-sxm-80"),
    ({"owned": "two DGX H100"}, "owned[0].count", 16),
    ({"owned": "3 DGX A100 systems and 8 H200"}, "owned[0].count", 24),
    ({"owned": "2台DGX A100"}, "owned[0].gpu", "a100-sxm-80"),
    ({"owned": "1 x HGX A100 4-GPU"}, "owned[0].count", 4),
    ({"deadline": "2 wks"}, "workloads[0].deadline_days", 14),
    ({"concurrency": "64 concurrent requests"}, "workloads[0].concurrency", 64),
    ({"horizon_months": "2年"}, "horizon_months", 24),
    ({"horizon_months": "3 years"}, "horizon_months", 36),
    ({"regions": "中国"}, "allow.regions", ("China",)),
    ({"regions": "usa, Germany"}, "allow.regions", ("US", "Europe")),
    ({"owned": "8 卡 A100"}, "owned[0].count", 8),
    ({"owned": "three H100"}, "owned[0].count", 3),
    ({"owned": "8 A100s"}, "owned[0].gpu", "a100-sxm-80"),
    ({"owned": "2 x L40S"}, "owned[0].gpu", "l40s-pcie-48"),
    ({"owned": "8 A100 GPUs"}, "owned[0].gpu", "a100-sxm-80"),
    ({"owned": "2 x 8 A100"}, "owned[0].count", 16),
    ({"owned": "two nodes of 8 H100"}, "owned[0].count", 16),
    ({"owned": "1台8卡A100服务器"}, "owned[0].count", 8),
    ({"deadline": "两周内"}, "workloads[0].deadline_days", 14),
    ({"deadline": "within 3 weeks"}, "workloads[0].deadline_days", 21),
    ({"deadline": "半年"}, "workloads[0].deadline_days", 182.5),
    ({"deadline": "2026/12/4"}, "workloads[0].deadline_days", 4),
    ({"budget": "预算每月3万元"}, "budget.monthly_usd", pytest.approx(30_000 / 7.1, abs=0.01)),
    ({"budget": "3万元/月以内"}, "budget.monthly_usd", pytest.approx(30_000 / 7.1, abs=0.01)),
    ({"budget": "不超过50万元"}, "budget.total_usd", pytest.approx(500_000 / 7.1, abs=0.01)),
    ({"budget": "up to $30k/mo"}, "budget.monthly_usd", 30_000),
    ({"budget": "<= 1.5e6 USD"}, "budget.total_usd", 1_500_000),
    ({"model": "70b-instruct"}, "workloads[0].model", "llama-3.1-70b"),
    ({"model": "7B-chat"}, "workloads[0].model", "qwen2.5-7b"),
    ({"users": "约2000人"}, "workloads[0].users", 2000),
    ({"users": "~2k"}, "workloads[0].users", 2000),
    ({"request_rate": "10 QPS"}, "workloads[0].request_rate", pytest.approx(10)),
    ({"request_rate": "300rpm"}, "workloads[0].request_rate", pytest.approx(5)),
    ({"tokens": "20亿个token"}, "workloads[0].tokens", 2e9),
    ({"regions": "China and US"}, "allow.regions", ("China", "US")),
    ({"regions": "中国和欧洲"}, "allow.regions", ("China", "Europe")),
    ({"gpus": "A100 or H100"}, "allow.gpus", ("a100-sxm-80", "h100-sxm-80")),
    ({"currency": "RMB"}, "prices.currency", "CNY"),
    ({"currency": "元"}, "prices.currency", "CNY"),
    ({"api_price": "2元/8元"}, "workloads[0].api_price.currency", "CNY"),
    ({"budget": "30 000 USD/month"}, "budget.monthly_usd", 30_000),
    ({"budget": "30'000 USD/month"}, "budget.monthly_usd", 30_000),
    ({"budget": "月预算3万美元"}, "budget.monthly_usd", 30_000),
    ({"budget": "３００００美元／月"}, "budget.monthly_usd", 30_000),
    ({"budget": "$1.234 million"}, "budget.total_usd", 1_234_000),
    ({"budget": "30.00/month"}, "budget.monthly_usd", 30),
    ({"users": "1 000 000"}, "workloads[0].users", 1_000_000),
    ({"users": "２０００"}, "workloads[0].users", 2000),
    ({"users": "两千用户"}, "workloads[0].users", 2000),
    ({"users": "2m"}, "workloads[0].users", 2_000_000),
    ({"users": "5百人"}, "workloads[0].users", 500),
    ({"users": "2000 employees"}, "workloads[0].users", 2000),
    ({"users": "1.5万名员工"}, "workloads[0].users", 15_000),
    ({"budget": "12k/quarter"}, "budget.monthly_usd", 4000),
    ({"budget": "每季度9万美元"}, "budget.monthly_usd", 30_000),
    ({"budget": "约3万美元每月"}, "budget.monthly_usd", 30_000),
    ({"budget": "３０，０００ＵＳＤ／ｍｏｎｔｈ"}, "budget.monthly_usd", 30_000),
    ({"deadline": "10天内"}, "workloads[0].deadline_days", 10),
    ({"deadline": "3 个月"}, "workloads[0].deadline_days", 91.25),
    ({"owned": "8张A100 80G和4张H200"}, "owned[1].gpu", "h200-sxm-141"),
    ({"model": "七百亿"}, "workloads[0].model", "llama-3.1-70b"),
    ({"owned": "８张Ａ１００"}, "owned[0].count", 8),
    ({"owned": "8×A100; 4 H100"}, "owned[1].count", 4),
    ({"deadline": "4th of December"}, "workloads[0].deadline_days", 4),
    ({"tokens": "1.250B"}, "workloads[0].tokens", 1.25e9),
    ({"api_price": "1.125/2.250"}, "workloads[0].api_price.input_mtok", 1.125),
    ({"ai_share": "４０％", "gpu_hours": "1000卡时"}, "workloads[1].gpu_hours", 600),
    ({"ai_share": "40%", "gpu_hours": "1k"}, "workloads[1].gpu_hours", 600),
    ({"images_per_s": "120/min", "model": None}, "workloads[0].images_per_s", 2),
    ({"images_per_s": "每秒2张", "model": None}, "workloads[0].images_per_s", 2),
    ({"image_model": "FLUX.1-dev", "model": None}, "workloads[0].model", "flux.1-dev"),
    ({"image_steps": "4", "model": None}, "workloads[0].steps", 4),
    ({"tenants": "12 x Llama-3.2-1B", "model": None}, "workloads[0].kind", "tenants"),
]


@pytest.mark.parametrize(("names", "path", "value"), SAID, ids=[str(s[0]) for s in SAID])
def test_phrases_are_understood(names, path, value):
    assert at(stated(**names), path) == value


@pytest.mark.parametrize(("names", "path", "value"), SAID[:1] + SAID[11:13] + SAID[18:21])
def test_a_file_says_the_same_phrases(names, path, value):
    (field, text), *_ = names.items()
    if field == "budget":
        field, text = "monthly_usd", "30k USD"
    job = {"kind": "training", "name": "t", "model": "8B", "tokens": "2B"}
    job |= {"deadline_days": text if field == "deadline" else 3}
    service = SERVICE | {"concurrency": None, "use_case": "chat", "users": 5}
    service |= {"users": text} if field == "users" else {}
    works = [job] if field == "deadline" else [service]
    read = scenario({"name": "x", "budget": {"monthly_usd": "30k USD"}, "workloads": works})
    assert at(read, path) == value


def test_yuan_are_changed_at_the_rate_of_the_scenario_and_the_answer_is_in_yuan():
    s = stated(budget="71000元/月")
    assert s.budget.monthly_usd == 10_000
    assert s.prices.currency == "CNY"
    other = DecisionQuestion.ask(scenario="article-b", budget="80000元/月")
    over = other.over({"prices.cny_per_usd": 8})
    assert (over.budget.monthly_usd, over.prices.currency) == (10_000, "CNY")


def test_every_size_between_the_typical_ones_is_near_one_or_refused():
    known = {typical_model(f"{size}B") for size in (0.5, 1, 3, 8, 14, 32, 70, 120, 235, 671)}
    assert len(known) == 10
    for wrong in ("0.01B", "5万亿"):
        with pytest.raises(InputError, match="sizes that one stands for"):
            typical_model(wrong)


def test_no_word_of_the_table_hides_another():
    kinds = vocabulary()
    amounts = [w for k in ("scale", "money", "time", "unit", "each", "label") for w in kinds[k]]
    assert len(amounts) == len(set(amounts))
    for word, entry in kinds["time"].items():
        assert phrase(f"3 {word}").number == pytest.approx(3 * entry.value), word
        assert phrase(f"3{word}").unit == "days", word
    for word, entry in kinds["scale"].items():
        assert phrase(f"3{word}").number == 3 * entry.value, word


# --- what is refused ------------------------------------------------------------------------------

WRONG = [
    ("--users 1e3k", "users"),
    ("--users -5", "users"),
    ("--users 2.000", "users"),
    ("--users 1,00", "users"),
    ("--users 三千五", "users"),
    ("--users many", "users"),
    ("--users 5 --rate 3/s", "request_rate"),
    ("--users 5 --concurrency 3", "concurrency"),
    ("--rate 5/day", "request_rate"),
    ("--rate 5/fortnight", "request_rate"),
    ("--deadline '30 parsecs'", "deadline"),
    ("--deadline 30", "deadline"),
    ("--deadline -3d", "deadline"),
    ("--deadline 12/04/2026", "deadline"),
    ("--deadline 2026-02-30", "deadline"),
    ("--deadline 2020-01-01", "deadline"),
    ("--deadline 30d --deadline-days 3", "deadline_days"),
    ("--budget '30k bananas'", "budget"),
    ("--budget '30.000 USD/month'", "budget"),
    ("--budget 100.000元/月", "budget"),
    ("--budget '30 00 USD/month'", "budget"),
    ("--budget 1MM", "budget"),
    ("--budget unlimited", "budget"),
    ("--users '2.000 users'", "users"),
    ("--users 1,5k", "users"),
    ("--users 1500+", "users"),
    ("--users '10 lakh'", "users"),
    ("--deadline 'next Friday'", "deadline"),
    ("--deadline 下周五", "deadline"),
    ("--deadline '2 weeks and 3 days'", "deadline"),
    ("--deadline 04.12.2026", "deadline"),
    ("--deadline '1.250 days'", "deadline"),
    ("--owned 'one DGX Z9'", "owned.gpu"),
    ("--budget 30k/parsec", "budget"),
    ("--budget -30k/month", "budget"),
    ("--budget '30000 EUR/month'", "budget"),
    ("--budget '30k + 40k'", "budget"),
    ("--budget '30k/month + 20万元 capital'", "budget"),
    ("--budget 30k/month --monthly-usd 5", "monthly_usd"),
    ("--budget '__import__(\"os\")'", "budget"),
    ("--owned 8xFoo", "owned.gpu"),
    ("--owned A100", "owned"),
    ("--owned 0xA100", "owned.count"),
    ("--owned -8xA100", "owned"),
    ("--owned 2台A100", "owned.gpu"),
    ("--owned 8.5xA100", "owned"),
    ("--owned '2 x 8 x 2 A100'", "owned.gpu"),
    ("--owned 'half H100'", "owned"),
    ("--owned 半张A100", "owned"),
    ("--deadline 'Q1 2027'", "deadline"),
    ("--deadline 2026年底", "deadline"),
    ("--deadline '内两周'", "deadline"),
    ("--deadline 30日", "deadline"),
    ("--deadline 3月", "deadline"),
    ("--deadline '10 working days'", "deadline"),
    ("--deadline 本周五", "deadline"),
    ("--deadline 12/31", "deadline"),
    ("--budget 'between 20k and 30k per month'", "budget"),
    ("--budget 30w/月", "budget"),
    ("--users 两三千", "users"),
    ("--users 10万+", "users"),
    ("--budget €30k/month", "budget"),
    ("--budget '30k-50k/month'", "budget"),
    ("--budget '30k/month/GPU'", "budget"),
    ("--budget '500k over 3 years'", "budget"),
    ("--budget 不超过", "budget"),
    ("--users '2000 DAU'", "users"),
    ("--users 每天3000人", "users"),
    ("--users 5000-10000", "users"),
    ("--rate '10 qps/s'", "request_rate"),
    ("--rate '1M requests/day'", "request_rate"),
    ("--model '70B FP8'", "model"),
    ("--model 70B-AWQ", "model"),
    ("--api yes", "api"),
    ("--api-price '0.2 in, 0.6 out'", "api_price"),
    ("--gpus any", "gpus"),
    ("--regions 'Europe but not Germany'", "regions"),
    ("--ai-share 四成", "ai_share"),
    ("--model 8B --users 5 --quotes 'H100 2.1/h'", "quotes"),
    ("--model 0.01B", "model"),
    ("--model 70X", "model"),
    ("--tokens 2e9B", "tokens"),
    ("--tokens 5 --documents 3", "documents"),
    ("--document-tokens 5", "document_tokens"),
    ("--regions Mars", "regions"),
    ("--simulation dancing", "simulation"),
    ("--ai-share 140%", "ai_share"),
    ("--horizon-months '2 users'", "horizon_months"),
    (f"--users {'9' * 500}k", "users"),
]


@pytest.mark.parametrize(("line", "field"), WRONG)
def test_what_is_not_understood_is_one_sentence(command, line, field):
    done = command("plan", *shlex.split(line))
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert re.match(rf"gpuspec: {re.escape(field)}: .* is (not valid|unknown); \S", done.stderr)
    assert len(done.stderr) < 620


def test_nothing_asked_says_how_to_ask(command):
    done = command("plan")
    assert done.returncode == 2
    assert "--model 70B --users 2000" in done.stderr


# --- one record, however it is asked --------------------------------------------------------------

LINE = {"users": "2000", "deadline": "30d", "budget": "30000/month", "owned": "8xA100"}


def test_english_and_chinese_words_ask_the_same():
    chinese = {"users": "2千人", "deadline": "30天", "budget": "每月3万美元", "owned": "8张A100"}
    one, other = stated(model="70B", **LINE), stated(model="700亿", **chinese)
    both = [s.model_dump(exclude={"name", "assumed"}) for s in (one, other)]
    assert both[0] == both[1]
    assert [w.kind for w in one.workloads] == ["inference", "training"]
    assert one.workloads[0].model == one.workloads[1].model == "llama-3.1-70b"


def test_what_is_saved_asks_the_same(tmp_path):
    asked = stated(model="70B", regions="US", **LINE)
    path = writing.save(asked, str(tmp_path / "mine.yaml"))
    assert scenario(path) == asked
    text = path.read_text("utf-8")
    assert "said: 70B" in text
    assert "horizon_months" not in text  # a default stays one


def test_a_saved_file_finds_the_files_that_it_names(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/quotes.csv").write_text("gpu,mode,price\nH100,on-demand,1.0\n", "utf-8")
    content = "name: x\nprices: {file: quotes.csv}\nworkloads:\n"
    content += "  - {kind: inference, name: s, model: 8B, concurrency: 4}  # mine\n"
    (tmp_path / "in/a.yaml").write_text(content, "utf-8")
    monkeypatch.chdir(tmp_path)
    asked = DecisionQuestion.ask(scenario="in/a.yaml", concurrency=5).stated
    saved = scenario(writing.save(asked, "b.yaml", "in/a.yaml"))
    assert Path(saved.prices.file).samefile("in/quotes.csv")
    with pytest.raises(InputError, match="name another"):
        writing.save(asked, "in/a.yaml", "in/a.yaml")
    assert "# mine" in (tmp_path / "in/a.yaml").read_text("utf-8")


def test_what_gives_way_to_the_line_is_named(command, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "name: x\nbudget: {monthly_usd: 9000}\nallow: {gpus: [L40S], modes: [on-demand]}\n"
        "workloads:\n  - {kind: inference, name: s, model: 8B, concurrency: 4, isl: 100}\n",
        "utf-8",
    )
    done = command("plan", "a.yaml", "--users", "50", "--use-case", "chat", "--budget", "8k/month")
    assert done.returncode == 0, done.stderr
    assert "budget.monthly_usd: 8000.0 stands instead of 9000.0 of the file" in done.stderr
    assert "workloads[0].concurrency: nothing stands instead of 4 of the file" in done.stderr
    assert "isl" not in done.stderr
    assert "50 users" in done.stdout


def test_a_line_over_a_file_needs_a_work_to_lie_on():
    base = {"name": "x", "workloads": [SERVICE]}
    for name, value in (("tokens", 5e9), ("simulation", "md"), ("ai_share", 0.4)):
        with pytest.raises(InputError) as error:
            UpgradeQuestion.ask(scenario=scenario(base), **{name: value}).stated  # noqa: B018
        assert error.value.field == name


def test_an_upgrade_is_asked_in_the_same_line():
    q = UpgradeQuestion.ask(scenario=None, model="70B", quarters=4, **LINE)
    assert q.stated.owned[0].count == 8
    assert q.stated.horizon_months == 12
    assert q.stated.budget.monthly_usd == 30_000
    with pytest.raises(InputError, match="not both"):
        UpgradeQuestion.ask(owned_nodes=2, owned="8xA100")


def test_a_small_set_of_documents_has_steps_enough():
    job = stated(documents="10k", deadline="friday").workloads[0]
    assert job.tokens / job.seq_len / job.global_batch >= 200
    assert stated(tokens="1T").workloads[0].global_batch == 1024


def test_an_assumption_must_be_of_something():
    base = {"name": "x", "workloads": [SERVICE]}
    for wrong in ("workloads[3].isl", "workloads[0].lengths", "nothing"):
        with pytest.raises(InputError, match=r"assumed\[0\].field"):
            scenario(base | {"assumed": [{"field": wrong}]})


# --- page 1 ---------------------------------------------------------------------------------------

QUESTIONS = re.findall(
    r"^\.venv/bin/gpuspec (plan --.*?)(?:  +#.*)?$", README.read_text("utf-8"), re.M
)
ANSWERS = (
    ("You own 8 x A100", "8,000 tokens in", "200 users", "At most 30,000 USD a month"),
    ("(QLoRA), on 10 million tokens", "within 4 days", "1,000 tokens a document", "70B is taken"),
    ("(genomics)", "40 % of the hours", "Llama-3.1-8B"),
)


@pytest.mark.parametrize(("place", "said"), [*enumerate(ANSWERS)])
def test_the_three_questions_of_the_readme_are_answered(command, place, said):
    done = command(*shlex.split(QUESTIONS[place]), SOURCE_DATE_EPOCH=EPOCH)
    assert done.returncode == 0, done.stderr
    for text in said:
        assert text in done.stdout


def test_the_four_inputs_are_answered_in_chinese_words(command):
    line = "plan --model 80亿 --users 500人 --deadline 30天 --budget 20万元/月 --owned 8张A100"
    done = command(*shlex.split(line), "--lang", "zh")
    assert done.returncode == 0, done.stderr
    for text in ("80 亿：服务、训练", "500 名用户", "30 天", "20 万元", "8 张 A100", "典型模型"):
        assert text in done.stdout
    told = done.stdout.split("未指明而采用的默认值")[1]
    assert not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+ [a-z]+", told), told


def test_every_default_of_a_line_is_on_page_1(command):
    done = command("plan", "--deadline", "9d", "--model", "8B")
    assert "training: 1 billion tokens." in done.stdout
    done = command("plan", "--budget", "5k/month", "--model", "8B")
    assert "service: 64 requests are in flight." in done.stdout


# --- a total, regions, export rules ---------------------------------------------------------------


def test_a_total_budget_is_kept_by_cash_over_the_horizon():
    base = {"name": "x", "workloads": [SERVICE | {"concurrency": 200}], "today": DAY}
    base |= {"allow": {"gpus": ["A100", "H100"]}, "horizon_months": 12}
    free = decide(scenario(base)).best
    assert free.upfront_usd > 0.5 * free.spent_usd  # bought, and worth something at the end
    limit = 0.6 * free.spent_usd
    held = decide(scenario(base | {"budget": {"total_usd": limit}})).best
    cash = held.upfront_usd + held.monthly_usd @ held.problem.calendar.months
    assert cash == pytest.approx(held.spent_usd)
    assert held.spent_usd <= limit
    assert held.expected_usd > free.expected_usd
    found = decide(scenario(base | {"budget": {"total_usd": held.spent_usd / 2}}))
    assert not found.feasible
    (row,) = [r for r in what_gives(found).to_dict("records") if r["what"] == "total"]
    assert row["needed"] == pytest.approx(held.spent_usd, rel=0.02)


def test_prices_of_a_region_come_first_and_others_are_named(command):
    base = {"name": "x", "workloads": [SERVICE], "today": DAY}
    offers = {
        place: every_offer(scenario(base | {"allow": {"regions": [place]}}))
        for place in ("China", "US", "Africa")
    }
    here = {place: of_regions(table, [place]) for place, table in offers.items()}
    assert here["China"].any()
    assert not here["Africa"].any()
    for place, table in offers.items():  # no price of elsewhere where the region has one
        pairs = set(zip(table["gpu"][here[place]], table["mode"][here[place]], strict=True))
        rest = table[~here[place]]
        assert not pairs & set(zip(rest["gpu"], rest["mode"], strict=True))
    done = command("plan", "small-team", "--regions", "非洲", "--gpus", "L40S")
    assert "No price in Africa is known for L40S PCIe (by the hour)" in done.stdout
    assert "fields that are not used" not in done.stdout.lower()


RULED = [
    ("A100", "China", "2023-10-01", FREE),
    ("A100", "China", "2025-06-01", "denial"),
    ("A100", "China", DAY, "case-by-case"),
    ("H200", "Macau", DAY, "case-by-case"),
    ("B200", "China", DAY, "denial"),
    ("H20", "China", "2025-01-01", FREE),
    ("H20", "China", DAY, "licence"),
    ("H200", "Middle East", DAY, "licence"),
    ("V100", "China", DAY, FREE),
    ("H200", "US", DAY, FREE),
]


@pytest.mark.parametrize(("name", "region", "day", "status"), RULED)
def test_export_rules_by_date_region_and_performance(name, region, day, status):
    assert export_status(gpu(name), region, date.fromisoformat(day)).status == status


def test_export_rules_stand_on_page_1_where_they_matter(command):
    line = ("plan", "small-team", "--gpus", "H200", "--regions")
    assert "To deliver H200 SXM to China takes a licence" in command(*line, "China").stdout
    assert "takes a licence" not in command(*line, "US").stdout
    told = command(*line, "China").stdout
    assert "fall under 3A090.a" in told
    assert "total processing performance 15,831, 19.4 a mm², memory 4,800 GB/s" in told
    assert "disagree" not in told
    old = command(
        "plan", "small-team", "--gpus", "A100", "--regions", "China", "--date", "2023-05-01"
    )
    text = "Rules and parts disagree on A100 SXM 80 GB in China: the class asks for a licence"
    assert text in old.stdout
    record = json.loads(command(*line, "China", "--json").stdout)["recommendation"]["export"]
    assert [(r["gpu"], r["status"], r["agree"]) for r in record] == [
        ("h200-sxm-141", "case-by-case", True)
    ]
    told = command("plan", "small-team", "--gpus", "H200", "--lang", "zh").stdout
    assert "向中国交付 H200 SXM 须有美国的出口许可" in told


# --- five questions -------------------------------------------------------------------------------


@pytest.fixture
def asks(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from gpuspec.cli import main

    monkeypatch.chdir(tmp_path)
    return lambda answers, *more: CliRunner().invoke(main, ["ask", *more], input=answers)


def test_five_answers_give_the_answer_and_the_file(asks, tmp_path):
    done = asks("8B\n300\n10k documents by friday\n5k/month\n8xA100\n")
    assert done.exit_code == 0, done.stderr
    assert "300 users" in done.stdout
    for told in ("Which model", "[70B]", "30,000 USD/month"):
        assert told in done.stderr
    saved = scenario(tmp_path / "question.yaml")
    assert saved.workloads[1].documents == 10_000
    assert saved.workloads[1].deadline_days == 4
    assert saved.budget.monthly_usd == 5000
    again = asks("8B\n\n\n\n\n")
    assert again.exit_code == 2
    assert "question.yaml" in again.stderr


def test_empty_answers_take_what_is_shown_in_both_languages(asks, tmp_path):
    done = asks("8B\n\n", "--lang", "zh", "--save", "a.yaml")
    assert done.exit_code == 0, done.stderr
    assert "运行什么模型？" in done.stderr
    assert "200 名用户" in done.stdout
    assert scenario(tmp_path / "a.yaml").workloads[0].users == 200


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ("70Y\n", "model"),
        ("8B\n30 parsecs\n", "users"),
        ("8B\nnone\nnone\n", "training"),
        ("8B\n5\n10 parsecs\n", "deadline"),
        ("8B\n5\n1B tokens, 2B tokens\n", "training"),
        ("8B\n5\ntrain\n", "training"),
        ("8B\n5\nlora or qlora, 1B tokens\n", "training"),
        ("8B\n5\n10B tokens 30 parsecs\n", "deadline"),
        ("8B\n5\nnone\nlots\n", "budget"),
        ("8B\n5\nnone\nnone\n8xFoo\n", "owned"),
        ("x" * 5000, "model"),
    ],
)
def test_a_wrong_answer_in_a_pipe_is_one_sentence(asks, tmp_path, answers, field):
    done = asks(answers)
    assert done.exit_code == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"gpuspec: {field}"), last
    assert "is not valid; " in last
    assert done.stdout == ""
    assert not (tmp_path / "question.yaml").exists()


@pytest.mark.parametrize(
    ("answer", "tokens", "documents", "days", "tuning"),
    [
        ("10B tokens 30天", 1e10, None, 30, "full"),
        ("100亿 token 30天内", 1e10, None, 30, "full"),
        ("QLoRA on 10k documents by friday", None, 1e4, 4, "qlora"),
        ("LoRA微调 1万篇 周五前", None, 1e4, 4, "lora"),
        ("1 billion tokens 2 weeks", 1e9, None, 14, "full"),
        ("fine-tune 5M tokens", 5e6, None, 30, "full"),
    ],
)
def test_what_is_trained_may_be_said_with_blanks_and_with_adapters(
    asks, tmp_path, answer, tokens, documents, days, tuning
):
    assert asks(f"8B\nnone\n{answer}\n\n\n", "--save", "a.yaml").exit_code == 0
    work = scenario(tmp_path / "a.yaml").workloads[0]
    asked = None if documents else tokens
    assert (work.documents, work.deadline_days, work.tuning) == (documents, days, tuning)
    assert asked in (None, work.tokens)


def test_an_amount_in_chinese_words_without_a_currency_says_what_it_is_taken_for(command):
    line = ("plan", "--model", "8B", "--users", "50", "--budget")
    assert "没有写明币种，按美元计" in command(*line, "20万", "--lang", "zh").stdout
    assert "20 万 names no currency" in command(*line, "20万").stdout
    for clear in ("20万元", "200k", "20万 USD"):
        assert "no currency" not in command(*line, clear).stdout


def test_a_person_is_asked_again(asks, monkeypatch):
    from gpuspec.cli import interview

    monkeypatch.setattr(interview, "is_person", lambda: True)
    done = asks("8B\n30 parsecs\n30\n\n\n\n")
    assert done.exit_code == 0, done.stderr
    assert "'30 parsecs' is not valid" in done.stderr
    assert done.stderr.count("How many people") == 2
    assert "30 users" in done.stdout


# --- templates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_read_as_it_is(command, tmp_path, kind):
    done = command("template", kind)
    (tmp_path / "t.yaml").write_text(done.stdout, "utf-8")
    read = scenario(tmp_path / "t.yaml")
    assert [w.kind for w in read.workloads] == [kind]
    for name in KINDS[kind].model_fields:
        assert re.search(rf"^    (# |  |- )?{name}:|^  - {name}:", done.stdout, re.M), name
    told = json.loads(command("template", kind, "--json").stdout)
    assert told["yaml"].strip() == done.stdout.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_a_template_may_be_taken_in(kind):
    lines = template.template(kind).splitlines()
    for place, line in enumerate(lines):
        found = re.fullmatch(r"(    )# (\w+): (\S.*)", line)
        if found and found[2] in KINDS[kind].model_fields:
            changed = [*lines[:place], f"{found[1]}{found[2]}: {found[3]}", *lines[place + 1 :]]
            scenario(from_yaml("t", "\n".join(changed), ""))


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_told_in_chinese_and_asks_the_same(command, kind):
    english = template.template(kind)
    done = command("template", kind, "--language", "zh")
    assert len(re.findall(r"[一-鿿]", done.stdout)) > 300
    asked = [scenario(from_yaml("t", text, "")) for text in (english, done.stdout)]
    assert asked[0] == asked[1]
    for name in KINDS[kind].model_fields:
        assert re.search(rf"^ +(# |- )?{name}:", done.stdout, re.M), name
    assert command("template", kind, "--language", "xx").returncode == 2


def test_an_unknown_template_names_the_known_ones(command):
    done = command("template", "trainin")
    assert done.returncode == 2
    assert "training" in done.stderr


def test_a_template_is_answered(command, tmp_path):
    (tmp_path / "t.yaml").write_text(command("template", "training").stdout, "utf-8")
    assert command("plan", "t.yaml").returncode == 0
