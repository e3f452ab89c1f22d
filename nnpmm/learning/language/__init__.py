"""Trajectories as a language: states, a network that learns their order, and kinetics.

Tsai, Kuo and Tiwary, Nat. Commun. 2020, 11, 5115. Nothing here knows what the states are.
"""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.learning.language.comparison import Comparison, compare_with_reference
    from nnpmm.learning.language.kinetics import (
        Kinetics,
        dwell_times,
        first_passage_times,
        implied_timescales,
        kinetics_of,
        transition_matrix,
    )
    from nnpmm.learning.language.markov import MarkovModel, fit_markov_model
    from nnpmm.learning.language.model import (
        LanguageModel,
        LanguageSettings,
        load_language_model,
        train_language_model,
    )
    from nnpmm.learning.language.states import (
        assign_states,
        read_series,
        require_states,
        smooth_recrossings,
    )

__all__ = [
    "Comparison",
    "Kinetics",
    "LanguageModel",
    "LanguageSettings",
    "MarkovModel",
    "assign_states",
    "compare_with_reference",
    "dwell_times",
    "first_passage_times",
    "fit_markov_model",
    "implied_timescales",
    "kinetics_of",
    "load_language_model",
    "read_series",
    "require_states",
    "smooth_recrossings",
    "train_language_model",
    "transition_matrix",
]

lazy_names(
    __name__,
    {
        "Comparison": "nnpmm.learning.language.comparison",
        "compare_with_reference": "nnpmm.learning.language.comparison",
        "Kinetics": "nnpmm.learning.language.kinetics",
        "LanguageModel": "nnpmm.learning.language.model",
        "LanguageSettings": "nnpmm.learning.language.model",
        "MarkovModel": "nnpmm.learning.language.markov",
        "assign_states": "nnpmm.learning.language.states",
        "dwell_times": "nnpmm.learning.language.kinetics",
        "first_passage_times": "nnpmm.learning.language.kinetics",
        "fit_markov_model": "nnpmm.learning.language.markov",
        "implied_timescales": "nnpmm.learning.language.kinetics",
        "kinetics_of": "nnpmm.learning.language.kinetics",
        "load_language_model": "nnpmm.learning.language.model",
        "read_series": "nnpmm.learning.language.states",
        "require_states": "nnpmm.learning.language.states",
        "smooth_recrossings": "nnpmm.learning.language.states",
        "train_language_model": "nnpmm.learning.language.model",
        "transition_matrix": "nnpmm.learning.language.kinetics",
    },
)
