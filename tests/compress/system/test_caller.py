"""What a run and its libraries change of the process that calls them is put back."""

import logging
import os
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers.utils import logging as transformers_logging

from compress.system.caller import unchanged_process


def change_everything() -> None:
    os.environ["EDGEPRESS_TEST"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "0"
    warnings.simplefilter("ignore")
    for name in ("", "transformers", "nncf"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).setLevel(logging.CRITICAL)
    transformers_logging.set_verbosity_debug()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(torch.get_num_threads() + 1)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_everything_is_as_before(
    error: type[BaseException] | None, process_state: Callable[[], Any]
) -> None:
    before = process_state()
    try:
        with unchanged_process():
            change_everything()
            assert process_state() != before
            if error is not None:
                raise error
    except KeyboardInterrupt:
        assert error is not None
    assert process_state() == before


def test_a_caller_who_wants_bars_keeps_them() -> None:
    transformers_logging.disable_progress_bar()
    try:
        with unchanged_process():
            pass
        assert not transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.enable_progress_bar()
    with unchanged_process():
        assert not transformers_logging.is_progress_bar_enabled()
        assert transformers_logging.get_verbosity() == logging.ERROR
    assert transformers_logging.is_progress_bar_enabled()
