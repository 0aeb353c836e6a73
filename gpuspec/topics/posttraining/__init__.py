"""Reinforcement learning after pre-training: a question, its runs, and what is said of them."""

from gpuspec.topics.posttraining.answer import deadline_table, runs_table, stages_table
from gpuspec.topics.posttraining.ask import LearningQuestion, PostTrainingQuestion
