//! The form for attaching with options: what is filled in, and what it means.

mod group;

use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    Capture, FunctionId, FunctionTable, Limits, SessionSettings, format_budget,
    format_duration_exactly, parse_budget, parse_duration,
};

use crate::filter_input::FilterInput;
pub(crate) use group::{Group, Known, Members, is_probeable, planned_probes};

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

    /// Whether text is typed into it; else there is a choice.
    fn takes_text(self) -> bool {
        !matches!(self, Self::Group | Self::Arguments | Self::Results)
    }

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
    /// By field; those of choices stay empty.
    inputs: [FilterInput; Field::ALL.len()],
    capture: Capture,
    /// What was wrong when it was to be used.
    pub(crate) error: Option<FieldError>,
}

impl AttachForm {
    /// A form for these groups, of which there is at least one, filled in with these settings.
    pub(crate) fn new(
        groups: Vec<Group>,
        settings: &SessionSettings,
        table: &FunctionTable,
    ) -> Self {
        let filter = settings.filter.as_ref();
        let text = |field| match field {
            Field::Duration => format_duration_exactly(settings.duration),
            Field::SampleRate => settings.sample_rate.to_string(),
            Field::Filter => filter.map_or_else(String::new, Expression::to_string),
            Field::Budget => format_budget(settings.budget_percent),
            _ => String::new(),
        };
        Self {
            members: Members::of(groups.first(), table),
            groups,
            group: 0,
            field: Field::Group,
            inputs: Field::ALL.map(|field| {
                let mut input = FilterInput::typing();
                input.insert(&text(field));
                input
            }),
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
        field.takes_text().then(|| &self.inputs[field as usize])
    }

    /// What is typed into a line, without spaces around it.
    pub(crate) fn text(&self, field: Field) -> &str {
        self.inputs[field as usize].text().trim()
    }

    /// The choice of a line, where there is one.
    pub(crate) fn choice(&self, field: Field) -> Option<bool> {
        match field {
            Field::Arguments => Some(self.capture.arguments),
            Field::Results => Some(self.capture.results),
            _ => None,
        }
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
        self.field.takes_text()
    }

    /// The next or the last choice of the line in front.
    pub(crate) fn change(&mut self, forwards: bool, table: &FunctionTable) {
        self.error = None;
        match self.field {
            Field::Group => {
                let step = if forwards { 1 } else { self.groups.len() - 1 };
                self.group = (self.group + step) % self.groups.len();
                self.members = Members::of(self.group(), table);
                self.look_for_pattern();
            }
            Field::Arguments => self.capture.arguments ^= true,
            Field::Results => self.capture.results ^= true,
            _ => {}
        }
    }

    /// Changes the text of the line in front by `edit`, which says whether it has.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut FilterInput) -> bool) {
        if self.takes_text() && edit(&mut self.inputs[self.field as usize]) {
            self.error = None;
            if self.field == Field::Pattern {
                self.look_for_pattern();
            }
        }
    }

    fn look_for_pattern(&mut self) {
        if matches!(self.group(), Some(Group::Pattern)) {
            self.members = Members::of_pattern(self.text(Field::Pattern));
        }
    }

    /// What the function calls is known now.
    pub(crate) fn take_callees(
        &mut self,
        function: FunctionId,
        callees: Vec<FunctionId>,
        table: &FunctionTable,
    ) {
        if matches!(self.group(), Some(Group::Callees(asked)) if *asked == function) {
            self.members = Members::Known(Known::new(callees, table));
        }
    }

    /// More may be known of the functions: which of them can be probed, and what that takes.
    pub(crate) fn take_plans(&mut self, table: &FunctionTable) {
        if let Members::Known(known) = &mut self.members {
            known.take_plans(table);
        }
    }

    /// The functions of the chosen group that can be probed; none while they are looked for.
    pub(crate) fn probeable(&self) -> &[FunctionId] {
        match &self.members {
            Members::Known(known) => &known.probeable,
            _ => &[],
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
        let lease = duration(Field::Duration, self.text(Field::Duration))?;
        if lease.is_zero() || lease > limits.duration {
            let most = limits.duration.as_secs();
            return Err(fail(
                Field::Duration,
                format!("more than 0s and at most {most}s"),
            ));
        }
        let sample_rate = self.text(Field::SampleRate).parse().ok();
        let sample_rate = sample_rate
            .filter(|&rate| rate > 0)
            .ok_or_else(|| fail(Field::SampleRate, "a whole number from 1 on".into()))?;
        let min = match self.text(Field::AtLeast) {
            "" => Duration::ZERO,
            text => duration(Field::AtLeast, text)?,
        };
        let filter = match self.text(Field::Filter) {
            "" => None,
            text => Some(parsed(text).map_err(|message| fail(Field::Filter, message))?),
        };
        Ok(SessionSettings {
            duration: lease,
            sample_rate,
            min,
            capture: self.capture,
            filter,
            budget_percent: parse_budget(self.text(Field::Budget))
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

    fn form(settings: &SessionSettings) -> AttachForm {
        AttachForm::new(vec![Group::Pattern], settings, &FunctionTable::default())
    }

    fn filled(field: Field, text: &str) -> Result<SessionSettings, String> {
        let mut form = form(&SessionSettings::default());
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
        let form = form(&settings);
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
