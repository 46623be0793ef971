//! `pointsman check`: every problem of a configuration at once.
//! It must not touch anything that the configuration names.

use std::path::Path;

use super::{Exit, complain, complain_of_config, say};
use crate::{app::check_people, config::read};

pub(super) fn run(file: &Path) -> Exit {
    match read(file) {
        Ok(config) => {
            if let Err(error) = check_people(&config.settings) {
                complain(&format_args!("{}: [auth]: {error}", file.display()));
                return Exit::Invalid;
            }
            let services = &config.topology.services;
            let groups = services.iter().flat_map(|service| &service.groups);
            let hosts: usize = groups.clone().map(|group| group.hosts.len()).sum();
            say(&format!(
                "{}: {}, {}, {}: no problems",
                file.display(),
                count(services.len(), "service"),
                count(groups.count(), "group"),
                count(hosts, "host"),
            ));
            Exit::Done
        }
        Err(error) => {
            complain_of_config(&error);
            Exit::Invalid
        }
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
