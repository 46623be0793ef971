//! What the program says of itself: its help, its manual, its completions.
//! It must not ask a node.

use std::process::Command;

use super::out;

/// Every command line that there is, without its arguments.
const COMMANDS: &str = "run check demo status show explain host group service close-sessions \
    reload history diff rollback confirm events whoami logout logins end-login auth replace \
    login passwd completions man";
const UNDER: [(&str, &str); 4] = [
    ("host", "add remove enable disable drain weight set"),
    ("group", "add remove activate set"),
    ("service", "add remove listen set"),
    ("auth", "explain"),
];

#[test]
fn completions_and_the_manual_mention_every_command() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        out(&output)
    };
    let man = run(&["man"]).replace("\\-", "-");
    let help = run(&["--help"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        for command in COMMANDS.split_whitespace() {
            assert!(script.contains(command), "{command} for {shell}");
        }
    }
    for command in COMMANDS.split_whitespace() {
        let pages = [format!(".SS {command}\n"), format!(".SS \"{command} ")];
        assert!(pages.iter().any(|page| man.contains(page)), "{command}");
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}\n{help}"
        );
    }
    for (group, commands) in UNDER {
        for command in commands.split_whitespace() {
            let page = format!(".SS \"{group} {command}\"\n");
            assert!(man.contains(&page), "{page}");
        }
    }
    for exit in ["EXIT STATUS", "denied", "unavailable"] {
        assert!(man.contains(exit), "{exit}");
    }
}
