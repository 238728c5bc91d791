//! A configuration as the file that means the same: the documented one, with its own values.

use std::fmt;

use coral_ui::{Command, Key};
use serde::Serialize;
use toml::{Table, Value};

use super::Config;

/// Every key but those of the tables below, with what it means and its default.
const DOCUMENTED: &str = include_str!("default.toml");

const KEYS: &str = "
# Keys of coral-tui by the names of its commands: one key or a list of them; [] for none. Keys are
# written like \"Space\", \"Ctrl-D\", \"Alt-x\", \"PgUp\", \"F5\" or \"x\". What has a `#` before it has the
# key that is compiled in.
[keys]
";

const REDACTION: &str = "
# What else is hidden of the values of calls, behind the rules that are compiled in. All patterns of
# a rule have to match; they are regexes. Instead of `value`, `find` takes \"card_number\" or \"email\".
# [[redaction]]
# name = \"^customer_id$\"        # the argument's name
# type = \"Account\"              # its type's name
# value = \"cust_[0-9]+\"         # a part of the value
# replace = \"<customer>\"        # what stands in its place; else \"<redacted>\"
";

const PROFILES: &str = "
# Agents and colonies by names of your own, for --profile and CORAL_PROFILE. Paths are relative to
# this file.
# [profiles.production]
# colony = \"https://colony.example:9000\"   # or agent = \"https://node7.example:9001\"
# ca = \"ca.pem\"                     # the CA of its certificate
# cert = \"ann.pem\"                  # the own certificate
# key = \"ann.key\"                   # and its key
# token_file = \"token\"              # a token, instead; readable by its owner alone
";

impl fmt::Display for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        for line in DOCUMENTED.lines() {
            match (line, line.split_once(" = ")) {
                ("[console]", _) => table = table_of(&self.console)?,
                ("[session]", _) => table = table_of(&self.session)?,
                (_, Some((key, _))) if table.contains_key(key) => {
                    writeln!(out, "{key} = {}", table[key])?;
                    continue;
                }
                _ => {}
            }
            writeln!(out, "{line}")?;
        }
        self.write_keys(out)?;
        self.write_redaction(out)?;
        self.write_profiles(out)
    }
}

impl Config {
    fn write_keys(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(KEYS)?;
        for (info, keys) in self.keymap.all() {
            if info.command == Command::QuitNow {
                // It cannot be configured.
                continue;
            }
            let names: Vec<String> = keys.iter().map(Key::to_string).collect();
            let mark = if names == info.keys { "# " } else { "" };
            let names = Value::from(names);
            writeln!(out, "{mark}{} = {names}  # {}", info.name, info.help)?;
        }
        Ok(())
    }

    fn write_redaction(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(REDACTION)?;
        for rule in &self.redaction {
            writeln!(out, "\n[[redaction]]\n{}", table_of(rule)?)?;
        }
        Ok(())
    }

    fn write_profiles(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(PROFILES)?;
        for (name, profile) in &self.profiles {
            let profiles = Table::from_iter([(name.clone(), Value::Table(table_of(profile)?))]);
            let all = Table::from_iter([("profiles".to_owned(), Value::Table(profiles))]);
            writeln!(out, "\n{all}")?;
        }
        Ok(())
    }
}

fn table_of(values: &impl Serialize) -> Result<Table, fmt::Error> {
    // Nothing that can be configured is without a form in TOML.
    Table::try_from(values).map_err(|_| fmt::Error)
}
