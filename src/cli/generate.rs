//! `pointsman completions` and `pointsman man`: made from the same tree that reads the arguments.
//! It must not say anything of a command that its help does not say.

use std::io;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{Arguments, Exit, complain, say};

const EXITS: [(&str, &str); 7] = [
    ("0", "done"),
    ("1", "failed"),
    ("2", "the command line cannot be understood"),
    ("3", "denied"),
    ("4", "not found, or invalid"),
    ("5", "in conflict with what is, or with another change"),
    ("6", "unavailable: it cannot be decided or reached now"),
];

pub(super) fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "pointsman", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}

/// One page with every command in it, so that one search finds everything.
pub(super) fn man() -> Exit {
    match page() {
        Ok(page) => {
            say(page.trim_end());
            Exit::Done
        }
        Err(error) => {
            complain(&format_args!("cannot write the page: {error}"));
            Exit::Failed
        }
    }
}

fn page() -> io::Result<String> {
    let mut command = Arguments::command();
    command.build();
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    describe(&command, "", &mut roff);
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXITS {
        roff.control("TP", []);
        roff.text([roman(code)]);
        roff.text([roman(meaning)]);
    }
    roff.to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The commands under `command`, each with its arguments but those that all have.
fn describe(command: &Command, before: &str, roff: &mut Roff) {
    for sub in command.get_subcommands() {
        if sub.get_name() == "help" {
            continue;
        }
        let name = format!("{before}{}", sub.get_name());
        if sub.has_subcommands() {
            describe(sub, &format!("{name} "), roff);
            continue;
        }
        roff.control("SS", [name.as_str()]);
        let usage = sub.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").to_owned();
        roff.text([roman(usage)]);
        roff.control("PP", []);
        let about = sub.get_about().map(ToString::to_string);
        roff.text([roman(about.unwrap_or_default())]);
        for argument in sub.get_arguments() {
            if argument.is_global_set() || matches!(argument.get_id().as_str(), "help" | "version")
            {
                continue;
            }
            roff.control("TP", []);
            roff.text([roman(argument.to_string())]);
            let help = argument.get_help().map(ToString::to_string);
            roff.text([roman(help.unwrap_or_default())]);
        }
    }
}
