"""What a study is for on each of its devices: one front a device, and the configuration that all are compared with.

The accuracy of an architecture does not depend on the device, and its latency does. So a study of several devices has a
front for each: in the objectives that belong to no device and those of that device. A limit on one device keeps nothing
off another's front; one of a device without an optimised objective holds for all. The joint front, in all objectives at
once, holds what would be a compromise between devices too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.errors import ConfigError, SpaceError
from hwnas.search import _front
from hwnas.search._objective import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import numpy as np
    from jaxtyping import Float

    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture, SearchSpace

#: Stands for the device of a study that has none.
NO_DEVICE = ""


def targets(objectives: Sequence[Objective]) -> dict[str, tuple[Objective, ...]]:
    """Return by device the objectives of its front, in their order.

    A device counts where one of its objectives is optimised. With one, or none (then its name is empty), all objectives
    are of its front.
    """
    devices = list(dict.fromkeys(o.device for o in objectives if o.optimize and o.device is not None))
    if len(devices) < 2:
        return {devices[0] if devices else NO_DEVICE: tuple(objectives)}
    return {device: tuple(o for o in objectives if o.device == device or o.device not in devices) for device in devices}


def fronts(objectives: Sequence[Objective], trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Return by device the front of its objectives, best in the first of them first; see `targets`."""
    return {device: _front.pareto_front(own, trials) for device, own in targets(objectives).items()}


def winners(objectives: Sequence[Objective], trials: Sequence[Trial], *, joint: bool = False) -> list[Trial]:
    """Return the members of all fronts, each once, best in the first objective first; with `joint` of the joint one."""
    if joint:
        return _front.pareto_front(objectives, trials)
    found = {trial.number: trial for front in fronts(objectives, trials).values() for trial in front}
    first = next(objective for objective in objectives if objective.optimize)
    return sorted(found.values(), key=lambda trial: (-first.score(trial.mean(first.name)), trial.number))


def reference_points(objectives: Sequence[Objective], trials: Sequence[Trial]) -> dict[str, dict[str, float] | None]:
    """Return by device the reference point of its hypervolume; see `hwnas.search._front.reference_values`."""
    return {device: _front.reference_values(own, trials) for device, own in targets(objectives).items()}


def hypervolume_histories(
    objectives: Sequence[Objective], trials: Sequence[Trial], reference: Mapping[str, float] | None = None
) -> dict[str, Float[np.ndarray, " k"]]:
    """Return by device the hypervolume of its front after each of the `k` complete trials.

    Args:
        objectives: the study's.
        trials: the study's.
        reference: by objective name; that of each device's own objectives by default.
    """
    return {device: _front.hypervolume_history(own, trials, reference) for device, own in targets(objectives).items()}


def check_baseline(
    space: SearchSpace, objectives: Sequence[Objective], values: Mapping[str, Any] | None, where: str
) -> Architecture | None:
    """Return the architecture that a study is compared with; `None` where there is none.

    Args:
        space: the study's.
        objectives: the study's.
        values: the architecture's.
        where: what gives them, such as a file, for the message.

    Raises:
        ConfigError: it is none of the space, or an objective's reference is the baseline and there is none.
    """
    if values is None:
        asking = [objective.name for objective in objectives if objective.reference == BASELINE]
        if asking:
            raise ConfigError(
                f"{where}: the reference of {asking[0]!r} is the baseline, and there is none",
                "give a configuration in [baseline.values], or a number",
            )
        return None
    try:
        return space.architecture(values)
    except SpaceError as exc:
        raise ConfigError(f"{where}: the baseline is none of the space: {exc.message}", exc.hint) from exc
