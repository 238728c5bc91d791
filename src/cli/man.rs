//! `coral man`: the manual pages of both programs, for those who package them.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use coral_model::ExitStatus;

use super::arguments::Arguments;
use crate::command_line::{self, CONFIG_FILE, Section};
use crate::failure::Failure;

/// Makes the page of the program that this one does not know.
pub type Manual = fn() -> io::Result<Vec<u8>>;

/// Writes a page for each command, and the other program's, into a directory.
pub(super) fn write(directory: &Path, console: Manual) -> Result<ExitCode, Failure> {
    let written = pages(console).and_then(|pages| {
        for (name, page) in pages {
            std::fs::write(directory.join(format!("{name}.1")), page)?;
        }
        Ok(ExitCode::SUCCESS)
    });
    written.map_err(|error| {
        Failure::new(
            "export-failed",
            format!("the manual pages cannot be written: {error}"),
            "name a directory that exists and may be written to",
            ExitStatus::Failure,
        )
    })
}

type Page = (String, Vec<u8>);

fn pages(console: Manual) -> io::Result<Vec<Page>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![("coral-tui".to_owned(), console()?)];
    add(&program, &mut pages)?;
    Ok(pages)
}

/// Adds the page of a command and those of the ones below it.
fn add(command: &Command, pages: &mut Vec<Page>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let sections = sections();
    pages.push((
        name.to_owned(),
        command_line::manual_page(command.clone(), &sections)?,
    ));
    let visible = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    visible.into_iter().try_for_each(|below| add(below, pages))
}

fn sections() -> [Section; 4] {
    let environment = [
        (
            "XDG_CONFIG_HOME",
            "Where the configuration is, ~/.config by default.",
        ),
        ("HOME", "What ~ is."),
    ];
    [
        Section::of("ENVIRONMENT", &environment),
        Section::of("FILES", &[CONFIG_FILE]),
        command_line::exit_status(),
        Section::of(
            "SEE ALSO",
            &[("coral-tui(1)", "The same engine with screens.")],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_all_of_its_options() {
        let pages = pages(|| Ok(Vec::new())).unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "coral-tui",
            "coral",
            "coral-functions",
            "coral-debug",
            "coral-debug-attach",
            "coral-debug-trace",
            "coral-debug-list",
            "coral-debug-detach",
            "coral-debug-query",
            "coral-services",
            "coral-approvals",
            "coral-approvals-list",
            "coral-approvals-grant",
            "coral-approvals-refuse",
            "coral-export",
            "coral-sql",
            "coral-agent",
            "coral-colony",
            "coral-audit",
            "coral-audit-verify",
            "coral-certs",
            "coral-certs-init",
            "coral-doctor",
            "coral-completions",
        ];
        assert_eq!(names, expected);
        let mut program = Arguments::command();
        program.build();
        let debug = program.find_subcommand("debug").unwrap();
        let attach = debug.find_subcommand("attach").unwrap();
        let page = page(&pages, "coral-debug-attach");
        for option in attach.get_arguments().filter_map(|it| it.get_long()) {
            let in_roff = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&in_roff), "{option}: {page}");
        }
        for status in ["0", "1", "2", "3", "4"] {
            assert!(page.contains(&format!(".TP\n\\fB{status}\\fR\n")), "{page}");
        }
    }

    fn page<'a>(pages: &'a [Page], name: &str) -> &'a str {
        let (_, page) = pages.iter().find(|(known, _)| known == name).unwrap();
        std::str::from_utf8(page).unwrap()
    }
}
