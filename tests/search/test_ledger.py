"""The trials of a study against a model of them, under any sequence of calls."""

import itertools
import tempfile

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hwnas.errors import IllegalMoveError, StudyError
from hwnas.search import Objective, SearchSettings, Study, TrialState
from hwnas.search._owner import Owner
from hwnas.space import Int, SearchSpace
from hwnas.store import Store, schema

ATTEMPTS, TRIALS = 2, 6
OPEN = {"proposed", "running"}


class Studies(RuleBasedStateMachine):
    """Calls a study at random, and knows what every trial must look like afterwards."""

    store = None
    numbers = itertools.count()

    @initialize()
    def begin(self):
        if Studies.store is None:
            Studies.store = Store.open(f"sqlite:///{tempfile.mkdtemp()}/hwnas.sqlite")
        search = SearchSettings(name=f"study{next(self.numbers)}", trials=TRIALS, start=TRIALS, attempts=ATTEMPTS)
        space = SearchSpace("ints", [Int("depth", 1, 100)])
        self.study = Study.create(self.store, search, space, [Objective("accuracy", "maximize")])
        self.model = {}  # number: [state, attempts, held, known]

    def pick(self, data):
        return data.draw(st.sampled_from(sorted(self.model)))

    def expect(self, number, allowed, action, then):
        """Call `action`: it works from the states `allowed`, and is refused without a trace from all others."""
        if self.model[number][0] in allowed:
            action(number)
            then(self.model[number])
        else:
            with pytest.raises((IllegalMoveError, StudyError)):
                action(number)

    @rule(n=st.integers(1, 3))
    def ask(self, n):
        waiting = [number for number, (state, _, held, _) in self.model.items() if state == "proposed" and not held]
        new = list(range(len(self.model), min(TRIALS, len(self.model) + n)))
        expected = waiting[:n] or new
        assert [trial.number for trial in self.study.ask(n)] == expected
        for number in expected:
            known = self.model[number][3] if number in self.model else False
            attempts = self.model[number][1] if number in self.model else 0
            self.model[number] = ["proposed", attempts, True, known]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def start(self, data):
        self.expect(
            self.pick(data),
            {"proposed"},
            self.study.start,
            lambda m: m.__setitem__(slice(0, 3), ["running", m[1] + 1, True]),
        )

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def record(self, data):
        number = self.pick(data)
        allowed = set() if self.model[number][3] else OPEN
        self.expect(number, allowed, lambda n: self.study.record(n, {"loss": 1.0}), lambda m: m.__setitem__(3, True))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def tell(self, data):
        def told(m):
            m[:3] = ["complete", m[1] + (m[0] == "proposed"), False]

        self.expect(self.pick(data), OPEN, lambda n: self.study.tell(n, {"accuracy": 0.5}), told)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), keep=st.booleans())
    def fail(self, data, keep):
        def failed(m):
            attempts = m[1] + (m[0] == "proposed")
            m[:3] = ["proposed" if attempts < ATTEMPTS else "failed", attempts, keep]

        self.expect(self.pick(data), OPEN, lambda n: self.study.fail(n, "no luck", keep=keep), failed)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def retry(self, data):
        then = lambda m: m.__setitem__(slice(0, 3), ["proposed", 0, False])  # noqa: E731
        self.expect(self.pick(data), {"failed"}, self.study.retry, then)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def abandon(self, data):
        then = lambda m: m.__setitem__(slice(0, 3), ["abandoned", m[1], False])  # noqa: E731
        self.expect(self.pick(data), OPEN, lambda n: self.study.abandon(n, "enough"), then)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def release(self, data):
        def released(m):
            m[:3] = ["proposed", m[1] - (m[0] == "running"), False]

        self.expect(self.pick(data), OPEN, self.study.release, released)

    @rule()
    def die(self):
        """Let every holder be a process that is no more."""
        me = Owner.me()
        dead = str(Owner(me.host, me.pid, 1.0))
        held = schema.trial.c.owner.is_not(None)
        with self.store.begin() as connection:
            connection.execute(sa.update(schema.trial).where(held).values(owner=dead))
        self.study.reset_stale()
        for m in self.model.values():
            if m[0] == "running":
                m[:2] = ["proposed", m[1] - 1]
            m[2] = False

    @rule()
    def load(self):
        self.study = Study.load(self.store, self.study.name)

    @invariant()
    def agrees(self):
        if not hasattr(self, "study"):
            return
        trials = self.study.trials()
        assert [trial.number for trial in trials] == sorted(self.model)
        assert len({trial.id for trial in trials}) == len(trials)
        for trial in trials:
            state, attempts, held, known = self.model[trial.number]
            assert (trial.state, trial.attempts, "loss" in trial.values) == (state, attempts, known)
            if state in OPEN:
                assert trial.is_held == held
            moves = self.study.moves(trial)
            assert moves[0][1] is None
            assert all(before[2] == after[1] for before, after in itertools.pairwise(moves))
            assert moves[-1][2] == trial.state
        assert self.study.is_finished == (len(trials) == TRIALS and all(trial.state.finished for trial in trials))
        assert sum(self.study.counts().values()) == len(trials)
        assert self.study.counts()[TrialState.STALE] == 0


Studies.TestCase.settings = settings(
    max_examples=10,
    stateful_step_count=20,
    phases=(Phase.generate,),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestStudies = Studies.TestCase
