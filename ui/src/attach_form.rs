//! The form for attaching with options: what is filled in, and what it means.

mod group;

use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    Capture, FunctionId, FunctionTable, Limits, SessionSettings, format_budget,
    format_duration_exactly, parse_budget, parse_duration,
};

use crate::filter_input::FilterInput;
pub(crate) use group::{Group, Members};

/// A line of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Which functions.
    Group,
    /// Their names, where the group is a pattern.
    Pattern,
    Duration,
    SampleRate,
    AtLeast,
    Arguments,
    Results,
    Filter,
    Budget,
}

impl Field {
    const ALL: [Self; 9] = [
        Self::Group,
        Self::Pattern,
        Self::Duration,
        Self::SampleRate,
        Self::AtLeast,
        Self::Arguments,
        Self::Results,
        Self::Filter,
        Self::Budget,
    ];

    /// What stands before it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Group => "attach to",
            Self::Pattern => "pattern",
            Self::Duration => "for",
            Self::SampleRate => "record 1 in",
            Self::AtLeast => "if at least",
            Self::Arguments => "arguments",
            Self::Results => "results",
            Self::Filter => "only where",
            Self::Budget => "budget",
        }
    }

    /// What is to be filled in.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Group => "which functions",
            Self::Pattern => "a name, its last parts, main.*, or /^main\\./",
            Self::Duration => "the lease, such as 60s: then all probes are gone",
            Self::SampleRate => "calls make a record; numbers hold all calls",
            Self::AtLeast => "10ms: only slower calls make a record; empty for all",
            Self::Arguments => "read what recorded calls receive; secrets are hidden",
            Self::Results => "read what recorded calls return",
            Self::Filter => "amount > 100 and user == \"u_1\"; empty for all calls",
            Self::Budget => "% of a core, or none; what costs more is detached",
        }
    }
}

/// What is wrong with what is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) field: Field,
    pub(crate) message: String,
}

/// The form.
#[derive(Debug)]
pub(crate) struct AttachForm {
    groups: Vec<Group>,
    group: usize,
    /// The functions of the chosen group, as far as they are found.
    pub(crate) members: Members,
    pub(crate) field: Field,
    pattern: FilterInput,
    duration: FilterInput,
    sample_rate: FilterInput,
    at_least: FilterInput,
    filter: FilterInput,
    budget: FilterInput,
    capture: Capture,
    /// What was wrong when it was to be used.
    pub(crate) error: Option<FieldError>,
}

impl AttachForm {
    /// A form for these groups, of which there is at least one, filled in with these settings.
    pub(crate) fn new(groups: Vec<Group>, settings: &SessionSettings) -> Self {
        let typed = |text: String| {
            let mut input = FilterInput::typing();
            input.insert(&text);
            input
        };
        Self {
            members: groups.first().map_or(Members::none(), Members::of),
            groups,
            group: 0,
            field: Field::Group,
            pattern: typed(String::new()),
            duration: typed(format_duration_exactly(settings.duration)),
            sample_rate: typed(settings.sample_rate.to_string()),
            at_least: typed(String::new()),
            filter: typed(
                settings
                    .filter
                    .as_ref()
                    .map_or_else(String::new, Expression::to_string),
            ),
            budget: typed(format_budget(settings.budget_percent)),
            capture: settings.capture,
            error: None,
        }
    }

    /// The chosen group.
    pub(crate) fn group(&self) -> Option<&Group> {
        self.groups.get(self.group)
    }

    /// The lines that are shown now.
    pub(crate) fn fields(&self) -> impl DoubleEndedIterator<Item = Field> {
        let has_pattern = matches!(self.group(), Some(Group::Pattern));
        Field::ALL
            .into_iter()
            .filter(move |&field| field != Field::Pattern || has_pattern)
    }

    /// The text of a line; `None` where there is a choice instead.
    pub(crate) fn input(&self, field: Field) -> Option<&FilterInput> {
        Some(match field {
            Field::Pattern => &self.pattern,
            Field::Duration => &self.duration,
            Field::SampleRate => &self.sample_rate,
            Field::AtLeast => &self.at_least,
            Field::Filter => &self.filter,
            Field::Budget => &self.budget,
            Field::Group | Field::Arguments | Field::Results => return None,
        })
    }

    /// The choice of a line, where there is one.
    pub(crate) fn choice(&self, field: Field) -> Option<bool> {
        match field {
            Field::Arguments => Some(self.capture.arguments),
            Field::Results => Some(self.capture.results),
            _ => None,
        }
    }

    /// What is written as a pattern.
    pub(crate) fn pattern(&self) -> &str {
        self.pattern.text()
    }

    /// Goes to the line after or before, round and round.
    pub(crate) fn move_by(&mut self, lines: isize) {
        let fields: Vec<Field> = self.fields().collect();
        let at = fields
            .iter()
            .position(|&field| field == self.field)
            .unwrap_or(0);
        let to = (at as isize + lines).rem_euclid(fields.len() as isize);
        self.field = fields[to as usize];
    }

    /// Whether letters go into the line in front.
    pub(crate) fn takes_text(&self) -> bool {
        self.input(self.field).is_some()
    }

    /// The next or the last choice of the line in front.
    pub(crate) fn change(&mut self, forwards: bool) {
        self.error = None;
        match self.field {
            Field::Group => {
                let step = if forwards { 1 } else { self.groups.len() - 1 };
                self.group = (self.group + step) % self.groups.len();
                self.members = self.group().map_or(Members::none(), Members::of);
                self.look_for_pattern();
            }
            Field::Arguments => self.capture.arguments ^= true,
            Field::Results => self.capture.results ^= true,
            _ => {}
        }
    }

    /// Changes the text of the line in front by `edit`, which says whether it has.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut FilterInput) -> bool) {
        let input = match self.field {
            Field::Pattern => &mut self.pattern,
            Field::Duration => &mut self.duration,
            Field::SampleRate => &mut self.sample_rate,
            Field::AtLeast => &mut self.at_least,
            Field::Filter => &mut self.filter,
            Field::Budget => &mut self.budget,
            Field::Group | Field::Arguments | Field::Results => return,
        };
        if edit(input) {
            self.error = None;
            if self.field == Field::Pattern {
                self.look_for_pattern();
            }
        }
    }

    fn look_for_pattern(&mut self) {
        if matches!(self.group(), Some(Group::Pattern)) {
            self.members = Members::of_pattern(self.pattern.text());
        }
    }

    /// What the function calls is known now.
    pub(crate) fn take_callees(&mut self, function: FunctionId, callees: Vec<FunctionId>) {
        if matches!(self.group(), Some(Group::Callees(asked)) if *asked == function) {
            self.members = Members::Known(callees);
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        matches!(self.members, Members::Looking(_))
    }

    /// Looks at the next functions.
    pub(crate) fn work(&mut self, table: &FunctionTable) {
        self.members.work(table);
    }

    /// What is filled in.
    ///
    /// # Errors
    /// The first line that means nothing, and why.
    pub(crate) fn settings(&self, limits: &Limits) -> Result<SessionSettings, FieldError> {
        let fail = |field, message| FieldError { field, message };
        let duration = |field, text: &str| {
            parse_duration(text).map_err(|error| fail(field, error.to_string()))
        };
        let lease = duration(Field::Duration, self.duration.text().trim())?;
        if lease.is_zero() || lease > limits.duration {
            let most = limits.duration.as_secs();
            return Err(fail(
                Field::Duration,
                format!("more than 0s and at most {most}s"),
            ));
        }
        let sample_rate = self
            .sample_rate
            .text()
            .trim()
            .parse()
            .ok()
            .filter(|&rate| rate > 0);
        let sample_rate = sample_rate
            .ok_or_else(|| fail(Field::SampleRate, "a whole number from 1 on".into()))?;
        let min = match self.at_least.text().trim() {
            "" => Duration::ZERO,
            text => duration(Field::AtLeast, text)?,
        };
        let filter = match self.filter.text().trim() {
            "" => None,
            text => Some(parsed(text).map_err(|message| fail(Field::Filter, message))?),
        };
        Ok(SessionSettings {
            duration: lease,
            sample_rate,
            min,
            capture: self.capture,
            filter,
            budget_percent: parse_budget(self.budget.text().trim())
                .map_err(|error| fail(Field::Budget, error.to_string()))?,
            ..SessionSettings::default()
        })
    }
}

/// Reads a filter over arguments.
///
/// # Errors
/// What is wrong, and where, in one line.
pub(crate) fn parsed(text: &str) -> Result<Expression, String> {
    Expression::parse(text).map_err(|error| {
        let column = text[..text.floor_char_boundary(error.position)]
            .chars()
            .count()
            + 1;
        format!("at {column}: {}", error.kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(field: Field, text: &str) -> Result<SessionSettings, String> {
        let mut form = AttachForm::new(vec![Group::Pattern], &SessionSettings::default());
        form.field = field;
        form.edit(|input| {
            input.clear();
            input.insert(text)
        });
        form.settings(&Limits::default()).map_err(|error| {
            assert_eq!(error.field, field);
            error.message
        })
    }

    #[test]
    fn an_untouched_form_means_the_settings_that_it_was_filled_in_with() {
        let settings = SessionSettings {
            duration: Duration::from_millis(500),
            filter: Some(Expression::parse("amount > 100").unwrap()),
            capture: Capture {
                arguments: true,
                results: false,
            },
            budget_percent: None,
            ..SessionSettings::default()
        };
        let form = AttachForm::new(vec![Group::Pattern], &settings);
        assert_eq!(form.settings(&Limits::default()), Ok(settings));
    }

    #[test]
    fn what_is_filled_in_counts() {
        let settings = filled(Field::AtLeast, "1.5ms").unwrap();
        assert_eq!(settings.min, Duration::from_micros(1500));
        assert_eq!(filled(Field::SampleRate, " 10 ").unwrap().sample_rate, 10);
        assert_eq!(
            filled(Field::Budget, "2.5 %").unwrap().budget_percent,
            Some(2.5)
        );
        assert_eq!(filled(Field::Budget, "none").unwrap().budget_percent, None);
        assert_eq!(
            filled(Field::Duration, "2m").unwrap().duration.as_secs(),
            120
        );
    }

    #[test]
    fn what_means_nothing_is_refused_at_its_line() {
        for (field, text) in [
            (Field::Duration, "0s"),
            (Field::Duration, "601s"),
            (Field::Duration, "soon"),
            (Field::SampleRate, "0"),
            (Field::SampleRate, "1/10"),
            (Field::AtLeast, "slow"),
            (Field::Filter, "amount >"),
            (Field::Budget, "0"),
            (Field::Budget, "NaN"),
            (Field::Budget, "5%%"),
            (Field::Budget, ""),
        ] {
            assert!(filled(field, text).is_err(), "{field:?} {text}");
        }
        assert_eq!(
            filled(Field::Filter, "amount > ").unwrap_err(),
            parsed("amount >").unwrap_err()
        );
    }
}
