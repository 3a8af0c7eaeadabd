"""What a person looks at: the front as a picture, as a table and as JSON; what the models of a search know."""

from hwnas.report._comparison import Comparison, compare, comparison_data, comparison_table
from hwnas.report._comparison_plot import comparison_figure
from hwnas.report._diagnosis import diagnosis_data, diagnosis_figure, doubtful_models, failure_pattern, write_diagnosis
from hwnas.report._json import front_data, write_front_json
from hwnas.report._label import ALIKE, GUESS, interval_text, label, number
from hwnas.report._page import report_html, write_report
from hwnas.report._picture import save_picture
from hwnas.report._plot import front_figure, write_front_png
from hwnas.report._predictor_plots import device_figure, predicted_figure, reference_figure, write_figure
from hwnas.report._relative import Beaten, Gain, beaten, ratio
from hwnas.report._stability_plot import stability_figure, write_stability_png
from hwnas.report._summary import StudySummary, is_guess, summarise
from hwnas.report._table import front_table
from hwnas.report._tradeoff import Tradeoff, tradeoffs

__all__ = [
    "ALIKE",
    "GUESS",
    "Beaten",
    "Comparison",
    "Gain",
    "StudySummary",
    "Tradeoff",
    "beaten",
    "compare",
    "comparison_data",
    "comparison_figure",
    "comparison_table",
    "device_figure",
    "diagnosis_data",
    "diagnosis_figure",
    "doubtful_models",
    "failure_pattern",
    "front_data",
    "front_figure",
    "front_table",
    "interval_text",
    "is_guess",
    "label",
    "number",
    "predicted_figure",
    "ratio",
    "reference_figure",
    "report_html",
    "save_picture",
    "stability_figure",
    "summarise",
    "tradeoffs",
    "write_diagnosis",
    "write_figure",
    "write_front_json",
    "write_front_png",
    "write_report",
    "write_stability_png",
]
