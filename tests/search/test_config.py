import pytest

from hwnas.errors import ConfigError
from hwnas.search import SaasSettings, SearchSettings, load_study_config

WHOLE = """
[search]
name = "digits"
trials = 96
workers = 2
[search.saas]
warmup = 64

[space.parameters]
width = { type = "int", low = 8, high = 64, step = 8 }

[network]
command = "python export.py --width {width} --out {network}"

[evaluation]
command = "python train.py --width {width}"

[[objectives]]
name = "accuracy"
direction = "maximize"
reference = 0.5

[[objectives]]
name = "p99_ms"
device = "phone"
limit = 8.0

[[objectives]]
name = "size_bytes"
limit = 1000000
optimize = false
"""


@pytest.fixture
def load(tmp_path):
    """Load the file above, with replacements."""

    def load(*replacements):
        text = WHOLE
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "search.toml"
        path.write_text(text)
        return load_study_config(path)

    return load


def test_a_whole_file_is_read_and_what_is_left_out_filled_in(load):
    config = load()
    assert config.search == SearchSettings(name="digits", trials=96, workers=2, saas=SaasSettings(warmup=64))
    assert (config.search.batch, config.search.start, config.search.strategy) == (16, 16, "saas-qnehvi")
    accuracy, latency, size = config.resolved_objectives()
    assert (accuracy.source, accuracy.direction, accuracy.log) == ("evaluation", "maximize", False)
    assert (latency.source, latency.direction, latency.log, latency.limit) == ("device", "minimize", True, 8.0)
    assert (size.source, size.direction, size.optimize) == ("network", "minimize", False)


def test_a_baseline_is_one_value_a_parameter(load):
    assert load().baseline is None
    table = "\n[baseline.values]\nwidth = 16\n"
    config = load(("[evaluation]", f"{table}[evaluation]"), ("reference = 0.5", 'reference = "baseline"'))
    assert config.baseline.values == {"width": 16}
    assert config.resolved_objectives()[0].reference == "baseline"
    with pytest.raises(ConfigError, match=r"baseline\.width: unknown field"):
        load(("[evaluation]", "[baseline]\nwidth = 16\n[evaluation]"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trials = 96", "trails = 96", r"search.trails: unknown field \(did you mean 'trials'\?\)"),
        ("trials = 96", "trials = 0", "search.trials: .*greater than or equal to 1"),
        ('name = "digits"', 'name = "../digits"', "search.name: .*pattern"),
        ("warmup = 64", "samples = 4", "thinning 16 keeps none of 4 samples"),
        ("warmup = 64", "start = 1", "search.saas.start: unknown field"),
        ("{network}", "net.onnx", r"does not say \{network\}"),
        ('direction = "maximize"', "", "objective 'accuracy': no direction"),
        ('device = "phone"', 'source = "device"', "a device goes with source 'device'"),
        ("optimize = false", 'name2 = "x"', r"objectives.2.name2: unknown field"),
        ('name = "size_bytes"', 'name = "accuracy"\ndirection = "maximize"', "two objectives are called 'accuracy'"),
        ("reference = 0.5", "reference = inf", "reference inf is not finite"),
        ("reference = 0.5", 'reference = "baseline"', "'accuracy' is the baseline, and there is no .baseline.values."),
        ("reference = 0.5", 'reference = "worst"', "objectives.0.reference"),
        ("trials = 96", 'fronts = "all"', "search.fronts: .*'device' or 'joint'"),
        ('[evaluation]\ncommand = "python train.py --width {width}"', "", "there is no .evaluation."),
        ('name = "accuracy"\ndirection = "maximize"\nreference = 0.5', 'name = "params"', "no objective reads what it"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(load, old, new, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load((old, new))
    assert "search.toml" in caught.value.message
