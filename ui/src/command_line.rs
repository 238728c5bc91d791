//! The command lines that measure or print the same as the console.

use std::time::Duration;

use coral_model::{Target, escape};

/// `coral debug attach` for these functions; `None` if there is none that a command line can name.
///
/// A name that needs escaping is left out: pasted into a shell, it would act on the terminal.
pub(crate) fn attach<'a>(
    target: &Target,
    names: impl IntoIterator<Item = &'a str>,
    lease: Duration,
) -> Option<String> {
    let functions: String = names
        .into_iter()
        .filter(|name| escape(name) == *name)
        .map(|name| format!(" --function {}", quote(name)))
        .collect();
    (!functions.is_empty()).then(|| {
        format!(
            "coral debug attach --pid {}{functions} --duration {}s",
            target.pid,
            lease.as_secs()
        )
    })
}

/// `coral functions` for a process.
pub(crate) fn functions(pid: u32) -> String {
    format!("coral functions --pid {pid}")
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
    use coral_model::Language;

    use super::*;

    #[test]
    fn the_command_line_names_every_function_for_a_shell() {
        let target = Target {
            service: "shop".into(),
            pid: 42,
            exe: "/shop".into(),
            build_id: None,
            language: Language::Go,
            start_ticks: 1,
        };
        let line = |names: &[&'static str]| {
            attach(&target, names.iter().copied(), Duration::from_secs(60))
        };
        assert_eq!(
            line(&["main.f", "main.(*Cart).Add", "it's"]).unwrap(),
            "coral debug attach --pid 42 --function main.f --function 'main.(*Cart).Add' \
             --function 'it'\\''s' --duration 60s"
        );
        assert_eq!(line(&["evil\u{1b}[2J"]), None);
    }
}
