//! How good a prediction was: what `diff` said beside what `apply` did.

use crate::{Outcome, StateReport};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// How many states were said to change.
    pub predicted: usize,
    /// How many have changed, of those that could be told.
    pub happened: usize,
    /// The ids of states that were said to change and did not.
    pub missed: Vec<String>,
    /// The ids of states that were not said to change and did.
    pub unforeseen: Vec<String>,
    /// How many states could not be told.
    pub unknown: usize,
    /// How many of those have changed.
    pub unknown_happened: usize,
}

impl Prediction {
    /// Both reports are of the same states in the same order. `None`: one of them does not have them all.
    pub fn compare(predicted: &[StateReport], made: &[StateReport]) -> Option<Self> {
        if predicted.len() != made.len() {
            return None;
        }
        let mut prediction = Prediction::default();
        for (before, after) in predicted.iter().zip(made) {
            prediction.add(before, after);
        }
        Some(prediction)
    }

    fn add(&mut self, before: &StateReport, after: &StateReport) {
        let happened = after.outcome == Outcome::Changed;
        if before.outcome == Outcome::Unknown {
            self.unknown += 1;
            self.unknown_happened += usize::from(happened);
            return;
        }
        let predicted = matches!(before.outcome, Outcome::Drift | Outcome::Always);
        self.predicted += usize::from(predicted);
        self.happened += usize::from(happened);
        match (predicted, happened) {
            (true, false) => self.missed.push(after.id.clone()),
            (false, true) => self.unforeseen.push(after.id.clone()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Outcome::{Always, Changed, Drift, Failed, InSync, Skipped, Unchanged, Unknown};

    fn reports(outcomes: &[Outcome]) -> Vec<StateReport> {
        let of = |(index, outcome): (usize, &Outcome)| StateReport {
            id: index.to_string(),
            outcome: *outcome,
            ..StateReport::default()
        };
        outcomes.iter().enumerate().map(of).collect()
    }

    #[test]
    fn names_what_did_not_happen_and_what_was_not_foreseen() {
        let predicted = reports(&[Drift, Always, Drift, Drift, InSync, InSync, Unknown, Unknown]);
        let made = reports(&[Changed, Changed, Failed, Skipped, Changed, Unchanged, Changed, Unchanged]);
        let told = Prediction {
            predicted: 4,
            happened: 3,
            missed: vec!["2".into(), "3".into()],
            unforeseen: vec!["4".into()],
            unknown: 2,
            unknown_happened: 1,
        };
        assert_eq!(Prediction::compare(&predicted, &made), Some(told));
        assert_eq!(Prediction::compare(&predicted[1..], &made), None);
    }
}
