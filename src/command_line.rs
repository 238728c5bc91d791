//! What is made of the programs' command lines: completions for shells, and manual pages.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

/// A part of a manual page that lists terms and what they mean.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) entries: Vec<(String, String)>,
}

impl Section {
    /// A section whose entries are known beforehand.
    pub(crate) fn of(title: &'static str, entries: &[(&str, &str)]) -> Self {
        let entries = entries.iter();
        Self {
            title,
            entries: entries
                .map(|(term, text)| ((*term).to_owned(), (*text).to_owned()))
                .collect(),
        }
    }
}

/// Where both programs look for their configuration.
pub(crate) const CONFIG_FILE: (&str, &str) = (
    "$XDG_CONFIG_HOME/coral/config.toml",
    "The configuration, usually ~/.config/coral/config.toml. `coral-tui --print-config` prints it \
     with an explanation of every key.",
);

/// The exit statuses of both programs.
pub(crate) fn exit_status() -> Section {
    let statuses = [
        ("0", "Done."),
        ("1", "Anything that has no status of its own."),
        (
            "2",
            "The command line, the configuration, or the target's names are wrong.",
        ),
        (
            "3",
            "A right or a kernel feature is missing; `coral doctor` names the fix.",
        ),
        ("4", "The target went away before anything was measured."),
    ];
    Section::of("EXIT STATUS", &statuses)
}

/// Prints what a shell needs to complete a command line.
pub(crate) fn print_completions(shell: Shell, mut command: Command) -> io::Result<()> {
    let name = command.get_name().to_owned();
    // Into memory first: the generator panics where its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(&script)
}

/// Prints on stdout. That its reader went away is no error.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// The manual page of a command, in roff, with sections behind the usual ones.
pub(crate) fn manual_page(command: Command, sections: &[Section]) -> io::Result<Vec<u8>> {
    let has_subcommands = command.has_subcommands();
    let man = Man::new(command).manual("coral");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::new();
    for section in sections {
        roff.control("SH", [section.title]);
        for (term, text) in &section.entries {
            roff.control("TP", []);
            roff.text([bold(term.as_str())]);
            roff.text(paragraph(text));
        }
    }
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// Text with its `literals` in bold.
fn paragraph(text: &str) -> Vec<Inline> {
    let parts = text.split('`').zip([false, true].into_iter().cycle());
    parts
        .map(|(part, is_literal)| match is_literal {
            true => bold(part),
            false => roman(part),
        })
        .collect()
}
