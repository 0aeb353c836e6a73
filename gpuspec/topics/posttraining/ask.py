"""What is asked about reinforcement learning after pre-training (PPO, GRPO and their kin)."""

from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field, field_validator, model_validator

from gpuspec.base.ask import Range, typed
from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError
from gpuspec.catalog import Gpu
from gpuspec.catalog.fields import (
    Batch,
    ComingDay,
    Days,
    EngineName,
    Format,
    Fp8Recipe,
    FrameworkName,
    GpuCount,
    GpuCounts,
    ModelName,
    NodeGpus,
    Offload,
    OptimizerName,
    Rank,
    RecomputeWords,
    Spread,
    Tokens,
    TrainingFormat,
    Tuning,
    UsedShare,
    Watts,
    fold,
)
from gpuspec.catalog.models import Model, model
from gpuspec.constants.posttraining import PostTrainingTerms, posttraining_terms
from gpuspec.formulas.job import TrainingJob
from gpuspec.formulas.posttraining import LENGTH_SPREAD, REFIT_GB_S, Lengths, packed_batch
from gpuspec.topics.serving.ask import ServingQuestion
from gpuspec.topics.serving.settings import Gpus
from gpuspec.topics.shared import MODEL_HELP, Compared, Networked
from gpuspec.topics.training.ask import TrainingQuestion

WHOLE = 64
"""Tokens of which the longest sequence is a multiple, so that context parallelism can split it."""
WITHOUT_CRITIC = ("dapo", "dr-grpo", "gspo", "rloo", "reinforce", "reinforce++", "cispo")
MOST_ANSWERS = Range(1, 1_000_000, "answers of a step, prompts x generations")
MOST_REPLICA = 64
"""GPUs of the largest replica of the engine that is tried."""


def _as_asked_of_training(name: str) -> Any:
    """Return a field as the question of training has it: default and help stand there alone."""
    field = TrainingQuestion.model_fields[name]
    return Field(field.default, description=field.description)


def _without_critic(name: object) -> object:
    """Read the kin of GRPO as what they take: no critic."""
    return "grpo" if fold(name) in WITHOUT_CRITIC else fold(name)


class Update(TrainingQuestion):
    """An optimizer step of reinforcement learning: answers of many lengths, packed.

    ``global_batch`` are its answers, ``seq_len`` is the longest that a micro-batch must hold.
    """

    isl: Annotated[float, Range(1, 1e7, "tokens")]
    osl: Annotated[float, Range(1, 1e7, "tokens")]
    max_osl: Annotated[float, Range(1, 1e7, "tokens")]
    length_spread: Spread

    @property
    def lengths(self) -> Lengths:
        """Return the lengths of the answers."""
        return Lengths(self.osl, self.max_osl, self.length_spread)

    @property
    def tokens_per_step(self) -> float:
        """Return the tokens of one optimizer step."""
        return float(self.global_batch * (self.isl + self.osl))

    def microbatches(self, dp: "pd.Series[int]", micro_batch: "pd.Series[int]") -> np.ndarray:
        """Return the packed micro-batches of a step of each layout; 0 where answers do not divide.

        A micro-batch of several holds as many packed sequences.
        """
        ranks, size = np.asarray(dp, float), np.asarray(micro_batch, float)
        batch = packed_batch(self.isl, self.lengths, self.global_batch / ranks)
        each = np.asarray(batch.microbatches)
        whole = (self.global_batch % ranks == 0) & (each >= size)
        return np.where(whole, np.ceil(each / size), 0.0)

    def timed(self, job: TrainingJob) -> TrainingJob:
        """Return a job with the tokens that its micro-batches hold on average."""
        batch, parallel = job.batch, job.parallel
        own = self.tokens_per_step / np.asarray(parallel.dp, float)
        filled = own / np.asarray(batch.microbatches, float) / np.asarray(batch.micro_batch, float)
        seen = np.minimum(self.isl + self.lengths.biased, filled)
        return replace(job, batch=replace(batch, seq_len=filled, document_tokens=seen))


class PostTrainingQuestion(Compared, Networked):
    """On which GPUs, on how many, does a model learn from its own answers in time."""

    model: ModelName = Field("Llama-3.1-8B", description=MODEL_HELP)
    algorithm: Annotated[Literal["grpo", "ppo"], BeforeValidator(_without_critic)] = Field(
        "grpo",
        description="grpo (also DAPO, RLOO, REINFORCE++: no critic), or ppo: a critic of the "
        "policy's size values each token and learns, too",
    )
    steps: Annotated[int, Range(1, 10_000_000, "steps")] = Field(
        200, description="Steps of the run: in each, all answers are written and learnt from"
    )
    deadline_days: Days = _as_asked_of_training("deadline_days")
    deadline: ComingDay | None = _as_asked_of_training("deadline")
    counts: GpuCounts = Field(
        typed("8,16,32,64,128"),
        description="Numbers of GPUs to try, those that generate included, commas between",
    )
    prompts: Annotated[int, Range(1, 1_000_000, "prompts")] = Field(
        64, description="Prompts of a step"
    )
    generations: Annotated[int, Range(1, 10_000)] = Field(
        16, description="Answers to each prompt of a step"
    )
    isl: Tokens = Field(256, description="Mean tokens of a prompt")
    osl: Tokens = Field(
        2048, description="Mean tokens of an answer, those that were cut among them"
    )
    max_osl: Tokens = Field(8192, description="Tokens after which an answer is cut")
    length_spread: Spread = Field(
        LENGTH_SPREAD,
        description="Spread of the answers' lengths if nothing cut them: standard deviation over "
        "mean (lognormal); it decides how long the last of a step hold it up",
    )
    train_batch: Batch | None = Field(
        None, description="Answers of an optimizer step; None: all of a step"
    )
    passes: Annotated[int, Range(1, 100)] = Field(
        1, description="Times that every answer of a step is learnt from"
    )
    reference_policy: bool = Field(
        True, description="Whether a reference policy gives log-probabilities for a KL term"
    )
    environment_s: Annotated[float, Range(0, 1e6, "s")] = Field(
        0.0,
        description="Time of rewards, tools and tests that a step waits for, beside generation",
    )
    placement: Annotated[Literal["together", "apart"], BeforeValidator(fold)] = Field(
        "together",
        description="together: the same GPUs generate and train in turns; apart: two pools",
    )
    generation_gpus: GpuCount | None = Field(
        None, description="apart: GPUs of them that generate; None: the fastest split of nodes"
    )
    off_policy_steps: Annotated[int, Range(0, 64, "steps")] | None = Field(
        None,
        description="apart: steps by which the policy that answers may be older, so that both "
        "pools work at once; 0: in turns; None: 1 apart, 0 together",
    )
    in_flight_updates: bool = Field(
        True,
        description="At once: whether new weights come while answers are written, so that engines "
        "never drain; false: every step's answers are finished first",
    )
    engine: EngineName = Field("vllm", description="Inference engine: vllm, sglang, tensorrt-llm")
    generation_weights: Format = Field(
        "bf16", description="Number format of the weights in the engine: bf16, fp8, ..."
    )
    generation_tp: Gpus | None = Field(
        None, description="Tensor-parallel size of the engine; None: the fastest"
    )
    memory_share: UsedShare | None = Field(
        None, description="Memory that the engine may take; None: as the engine sets it"
    )
    refit_gb_s: Annotated[float, Range(0, 1e6, "GB/s", above=True)] = Field(
        REFIT_GB_S, description="Rate at which new weights reach every replica of the engine"
    )
    framework: FrameworkName = Field(
        "nemo-rl",
        description="Framework that trains: nemo-rl, verl, openrlhf, trl, slime, or any other of "
        "data/frameworks.csv",
    )
    tuning: Tuning = _as_asked_of_training("tuning")
    lora_rank: Rank = _as_asked_of_training("lora_rank")
    optimizer: OptimizerName | None = _as_asked_of_training("optimizer")
    precision: TrainingFormat = _as_asked_of_training("precision")
    fp8_recipe: Fp8Recipe | None = _as_asked_of_training("fp8_recipe")
    recompute: RecomputeWords | None = _as_asked_of_training("recompute")
    offload: Offload | None = _as_asked_of_training("offload")
    power_limit_w: Watts | None = _as_asked_of_training("power_limit_w")
    gpus_per_node: NodeGpus = _as_asked_of_training("gpus_per_node")
    storage_gb_s: Annotated[float, Range(0, 1e6, "GB/s", above=True)] = _as_asked_of_training(
        "storage_gb_s"
    )
    failures_per_gpu_day: Annotated[float, Range(0, 1000)] = _as_asked_of_training(
        "failures_per_gpu_day"
    )
    restart_s: Annotated[float, Range(0, 1e6, "s")] = _as_asked_of_training("restart_s")

    @field_validator("counts")
    @classmethod
    def _sorted(cls, counts: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(set(counts)))

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.osl > self.max_osl:
            raise InputError("osl", self.osl, f"the mean is at most max_osl, {self.max_osl:,}")
        if self.network.kind != "llm":
            raise InputError("model", self.network.id, "give a model that writes answers")
        self.network.need_layers("tokens per second")
        most, longest = self.network.max_context, self.isl + self.max_osl
        if most and longest > most:
            valid = f"{self.network.name} ends at {most:,} tokens; isl + max_osl is {longest:,}"
            raise InputError("max_osl", self.max_osl, valid)
        if not MOST_ANSWERS.holds(self.answers):
            raise InputError("generations", self.generations, MOST_ANSWERS.valid(whole=True))
        if self.answers % self.batch:
            valid = f"it must divide the {self.answers:,} answers of a step"
            raise InputError("train_batch", self.train_batch, valid)
        return self

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if self.placement == "together":
            for name in ("generation_gpus", "off_policy_steps"):
                if getattr(self, name):
                    raise InputError(name, getattr(self, name), "it is of placement apart")
        if self.generation_gpus and self.generation_gpus >= max(self.counts):
            valid = f"fewer than the {max(self.counts):,} GPUs of counts"
            raise InputError("generation_gpus", self.generation_gpus, valid)
        if self.deadline:
            stated, default = self.deadline_days, type(self).model_fields["deadline_days"].default
            left = float((self.deadline - run_date()).days)
            if stated not in (default, left):
                raise InputError("deadline_days", stated, "give it or deadline, not both")
            self._put({"deadline_days": left})
        return self

    @model_validator(mode="after")
    def _can_be_trained_and_served(self) -> Self:
        try:
            for count in self.counts:
                self.update(count)  # says what is wrong with the fields of training
            for device in self.devices:
                self.serving(device, 1)
        except InputError as error:
            valid = error.valid.removesuffix(", or leave it blank")
            raise InputError(error.field, error.value, valid) from None
        return self

    @cached_property
    def network(self) -> Model:
        """The model's record."""
        return model(self.model)

    @property
    def doubts(self) -> str:
        """Say what is not surely known of the framework."""
        return self.update(self.counts[0]).doubts

    @cached_property
    def lengths(self) -> Lengths:
        """How long answers are."""
        return Lengths(float(self.osl), float(self.max_osl), self.length_spread)

    @cached_property
    def terms(self) -> PostTrainingTerms:
        """Fitted constants of an RL step."""
        return posttraining_terms()

    @property
    def answers(self) -> int:
        """Return the answers of a step."""
        return self.prompts * self.generations

    @property
    def batch(self) -> int:
        """Return the answers of an optimizer step."""
        return self.train_batch or self.answers

    @property
    def updates(self) -> float:
        """Return the optimizer steps in which all answers are seen once."""
        return self.answers / self.batch

    @property
    def late(self) -> int:
        """Return the steps by which the policy that answers may be older."""
        if self.off_policy_steps is None:
            return int(self.placement == "apart")
        return self.off_policy_steps

    def update(self, count: int) -> Update:
        """Return the question of an optimizer step on so many GPUs."""
        return _update(self, count)

    def _update(self, count: int) -> Update:
        longest = -(-(self.isl + self.max_osl) // WHOLE) * WHOLE
        most = self.network.max_context or longest
        names = set(TrainingQuestion.model_fields) & set(type(self).model_fields)
        stated = {name: getattr(self, name) for name in names - {"counts", "deadline"}}
        lengths = {name: float(getattr(self, name)) for name in ("isl", "osl", "max_osl")}
        return Update.ask(
            **stated,
            counts=(count,),
            seq_len=min(longest, most),
            global_batch=self.batch,
            tokens=float(self.steps * self.updates * self.batch * (self.isl + self.osl)),
            length_spread=self.length_spread,
            **lengths,
        )

    def serving(self, device: Gpu, pool: int) -> ServingQuestion:
        """Return the question of an engine that writes on a pool of a GPU."""
        return _serving(self, device, min(pool, MOST_REPLICA))

    def _serving(self, device: Gpu, most: int) -> ServingQuestion:
        spread = float(np.sqrt(max(self.lengths.biased / self.lengths.mean - 1, 0.0)))
        return ServingQuestion.ask(
            model=self.model,
            gpus=device.id,
            engine=self.engine,
            weights=(self.generation_weights,),
            memory_share=self.memory_share,
            isl=self.isl,
            osl=self.osl,
            osl_cv=spread,
            max_gpus=most,
            node_network_gb_s=self.node_network_gb_s,
            network_kind=self.network_kind,
        )


def _as_asked(name: str) -> Any:
    """Return a field as the question of reinforcement learning has it."""
    field = PostTrainingQuestion.model_fields[name]
    return Field(field.default, description=f"Reinforcement learning: {field.description}")


class LearningQuestion(Compared, Networked):
    """What the notebook of training asks about reinforcement learning afterwards."""

    rl_model: ModelName = _as_asked("model")
    rl_algorithm: Annotated[Literal["grpo", "ppo"], BeforeValidator(_without_critic)] = _as_asked(
        "algorithm"
    )
    rl_steps: Annotated[int, Range(1, 10_000_000, "steps")] = _as_asked("steps")
    rl_prompts: Annotated[int, Range(1, 1_000_000, "prompts")] = _as_asked("prompts")
    rl_generations: Annotated[int, Range(1, 10_000)] = _as_asked("generations")
    rl_answer_tokens: Tokens = _as_asked("osl")
    rl_longest_tokens: Tokens = _as_asked("max_osl")
    deadline_days: Days = _as_asked_of_training("deadline_days")

    def asked(self) -> PostTrainingQuestion:
        """Return the question of the run."""
        stated = {n.removeprefix("rl_"): getattr(self, n) for n in type(self).model_fields}
        longest, mean = stated.pop("longest_tokens"), stated.pop("answer_tokens")
        return PostTrainingQuestion.ask(**stated, osl=mean, max_osl=longest)


_update = lru_cache(1024)(PostTrainingQuestion._update)
_serving = lru_cache(1024)(PostTrainingQuestion._serving)
