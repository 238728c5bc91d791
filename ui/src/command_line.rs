//! The command lines that measure or print the same as the console.

use coral_model::{SessionSettings, Target, escape, format_budget, format_duration_exactly};

use crate::event::OpenTarget;
use crate::options::Peer;

/// An option for whoever knows the processes, if somebody does; `None` if its name would act on a
/// terminal.
fn of_peer(peer: Option<&Peer>) -> Option<String> {
    let Some(peer) = peer else {
        return Some(String::new());
    };
    let address = peer.address();
    let is_plain = escape(address) == address;
    is_plain.then(|| format!(" --{} {}", peer.kind(), quote(address)))
}

/// What is measured: of a colony a service, else a process.
fn of_target(peer: Option<&Peer>, target: &Target) -> Option<String> {
    match peer {
        Some(Peer::Colony(_)) => {
            let service = &target.service;
            (escape(service) == *service).then(|| format!(" {}", quote(service)))
        }
        _ => Some(format!(" --pid {}", target.pid)),
    }
}

/// `coral debug attach` for these functions, or patterns of functions; `None` if there is none that
/// a command line can name.
///
/// A name that needs escaping is left out: pasted into a shell, it would act on the terminal.
pub(crate) fn attach<'a>(
    peer: Option<&Peer>,
    target: &Target,
    names: impl IntoIterator<Item = &'a str>,
    settings: &SessionSettings,
) -> Option<String> {
    let functions: String = names
        .into_iter()
        .filter(|name| escape(name) == *name)
        .map(|name| format!(" --function {}", quote(name)))
        .collect();
    let (measured, of_peer) = (of_target(peer, target)?, of_peer(peer)?);
    (!functions.is_empty()).then(|| {
        format!(
            "coral debug attach{of_peer}{measured}{functions} --duration {}{}",
            format_duration_exactly(settings.duration),
            options(settings)
        )
    })
}

/// The options of settings that are not the defaults.
fn options(settings: &SessionSettings) -> String {
    let usual = SessionSettings::default();
    let mut options = String::new();
    let mut add = |is_given: bool, option: String| {
        if is_given {
            options.push(' ');
            options.push_str(&option);
        }
    };
    let rate = settings.sample_rate;
    add(rate != usual.sample_rate, format!("--sample-rate {rate}"));
    add(
        !settings.min.is_zero(),
        format!("--min-duration {}", format_duration_exactly(settings.min)),
    );
    for (option, value) in [("--max-duration", settings.max), ("--slow", settings.slow)] {
        let text = value.map(|value| format!("{option} {}", format_duration_exactly(value)));
        add(text.is_some(), text.unwrap_or_default());
    }
    add(settings.capture.arguments, "--capture-args".into());
    add(settings.capture.results, "--capture-return".into());
    if let Some(filter) = &settings.filter {
        add(true, format!("--filter {}", quote(&filter.to_string())));
    }
    let budget = settings.budget_percent;
    add(
        budget != usual.budget_percent,
        format!("--budget {}", format_budget(budget)),
    );
    options
}

/// `coral functions` for a process or a service.
pub(crate) fn functions(peer: Option<&Peer>, target: &Target) -> Option<String> {
    let (listed, of_peer) = (of_target(peer, target)?, of_peer(peer)?);
    Some(format!("coral functions{of_peer}{listed}"))
}

/// The same for what is not open.
pub(crate) fn functions_of(peer: Option<&Peer>, what: &OpenTarget) -> Option<String> {
    let of_peer = of_peer(peer)?;
    match what {
        OpenTarget::Process(pid) => Some(format!("coral functions{of_peer} --pid {pid}")),
        OpenTarget::Service(name) => {
            (escape(name) == *name).then(|| format!("coral functions{of_peer} {}", quote(name)))
        }
    }
}

/// `coral sql` for a query.
pub(crate) fn sql(peer: Option<&Peer>, sql: &str) -> Option<String> {
    let of_peer = of_peer(peer)?;
    (escape(sql) == sql).then(|| format!("coral sql{of_peer} {}", quote(sql)))
}

/// A word as a POSIX shell reads it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/:-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coral_model::filter::Expression;
    use coral_model::{Capture, Language};

    use super::*;

    #[test]
    fn the_command_line_names_every_function_for_a_shell() {
        let target = Target {
            agent_id: "local".into(),
            service: "shop".into(),
            pid: 42,
            exe: "/shop".into(),
            build_id: None,
            language: Language::Go,
            start_ticks: 1,
        };
        let line = |names: &[&'static str]| {
            let settings = SessionSettings::default();
            attach(None, &target, names.iter().copied(), &settings)
        };
        assert_eq!(
            line(&["main.f", "main.(*Cart).Add", "it's"]).unwrap(),
            "coral debug attach --pid 42 --function main.f --function 'main.(*Cart).Add' \
             --function 'it'\\''s' --duration 60s"
        );
        assert_eq!(line(&["evil\u{1b}[2J"]), None);
        let settings = SessionSettings {
            duration: Duration::from_millis(500),
            sample_rate: 10,
            min: Duration::from_micros(1500),
            capture: Capture {
                arguments: true,
                results: false,
            },
            filter: Some(Expression::parse("user == \"u_1\"").unwrap()),
            budget_percent: None,
            ..SessionSettings::default()
        };
        assert_eq!(
            attach(None, &target, ["f"], &settings).unwrap(),
            "coral debug attach --pid 42 --function f --duration 500ms --sample-rate 10 \
             --min-duration 1500us --capture-args --filter 'user == \"u_1\"' --budget none"
        );
        assert_eq!(
            functions(Some(&Peer::Agent("unix:/run/my agent".into())), &target).unwrap(),
            "coral functions --agent 'unix:/run/my agent' --pid 42"
        );
        let agent = Peer::Agent("unix:/\u{1b}[2J".into());
        assert_eq!(functions(Some(&agent), &target), None);
        let colony = Peer::Colony("https://colony:9000".into());
        assert_eq!(
            attach(Some(&colony), &target, ["f"], &SessionSettings::default()).unwrap(),
            "coral debug attach --colony https://colony:9000 shop --function f --duration 60s"
        );
    }
}
