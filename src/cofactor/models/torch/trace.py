"""Trace what a user's module computes, as a list of operations that the kernel of ``kernels/tape.py`` can train.

:func:`program_of` calls the module in training mode, on rows of the data, and records each function of torch that it
calls (``TorchFunctionMode``), however it is written: embeddings or parameters indexed by columns, joined, multiplied,
summed over dimensions, linear layers, elementwise functions, softmax, batch normalisation, dropout, and combinations of
these (``formulas.py``). For anything else, for a number that Python reads (``if x.max() > 1``), and for a stopped
gradient, it returns None, and autograd trains the module. The module is called on two batches, which must give the same
list. The recorded program is then computed in float64 and compared with the module's output. A user's own loss is
recorded in the same way, as a function of the module's output and the ratings.

This file needs torch; its importer checks that first (``torch_module.need_torch``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cofactor.models.torch.calling import hooked, quietly
from cofactor.models.torch.functions import HANDLERS
from cofactor.models.torch.lazy import readable
from cofactor.models.torch.program import Program, evaluate
from cofactor.models.torch.side_effects import acts, has_side_effects
from cofactor.models.torch.stepper import flat_output
from cofactor.models.torch.tracer import NotKnown, Tracer


def program_of(module: nn.Module, x: Tensor) -> Program | None:
    """Return the computation of the module for ``x`` int64 (rows, columns); None if it is not certain."""
    return _program(module, x, None, None)


class OwnLoss(NamedTuple):
    """A user's own loss: the given function, a call of it with the module's output and the ratings of a batch, and all
    ratings in the form that it takes."""

    function: Any
    call: Callable[[Any, Tensor], Any]
    ratings: Tensor


def loss_program_of(module: nn.Module, x: Tensor, rows: Tensor, loss: OwnLoss) -> Program | None:
    """Return the computation of the loss of the module's output for ``x``, the codes of these ``rows``; None if it is
    not certain."""
    own, y = loss.function, loss.ratings[rows]
    if not isinstance(own, nn.Module):
        return None if acts(own, module) else _program(module, x, y, loss.call)
    if has_side_effects(own) or hooked(own):
        return None
    with quietly(own) as quiet:
        found = _program(module, x, y, loss.call)
    return found if quiet.nothing else None


def _program(module: nn.Module, x: Tensor, y: Tensor | None, loss: Callable[..., Any] | None) -> Program | None:
    if len(x) < 2 or not readable(module) or hooked(module) or has_side_effects(module):
        return None
    was = module.training
    try:
        with quietly(module) as quiet, torch.enable_grad():
            module.train()
            found = _traced(module, x, y, loss)
            again = found
            if len(x) > 3:
                few = slice(-(len(x) // 2 + 1), None)
                again = _traced(module, x[few].flip(0), None if y is None else y[few].flip(0), loss)
    except Exception:  # its input is unknown to the kernel
        return None
    finally:
        module.train(was)
    return found if found == again and quiet.nothing else None


def _traced(module: nn.Module, x: Tensor, y: Tensor | None, loss: Callable[..., Any] | None) -> Program:
    """Return the recorded program, if it agrees with the module, or the loss."""
    tracer, drawn = Tracer(module, x, HANDLERS, y), torch.get_rng_state()
    with tracer:
        out = flat_output(module(x), len(x)) if loss is None else loss(module(x), y)
    if not torch.equal(drawn, torch.get_rng_state()):
        raise NotKnown("numbers at random")
    found = tracer.program(out)
    weights = dict(module.named_parameters())
    known = evaluate(found, {n: weights[n].detach().double() for n in found.names}, x, y)
    if not torch.allclose(known, out.detach().double(), rtol=1e-4, atol=1e-5):
        raise NotKnown("another result")
    return found
