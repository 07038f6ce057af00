"""Making the teacher: fine-tuning an encoder on labelled text (`compress train`)."""

from compress.training.run import Trained, train
from compress.training.settings import TrainingSettings, load_training_settings

__all__ = ["Trained", "TrainingSettings", "load_training_settings", "train"]
