//! Any text as a configuration file, and as one whose services are changed.
//! It must not say what a text means; only that reading ends well, and that a change reads as asked.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::{
    config::{Config, edit, parse},
    model::topology::Topology,
};

// Before a NUL the file, behind it one with the services that it shall have.
fuzz_target!(|text: &str| {
    let (text, wanted) = text.split_once('\0').unwrap_or((text, "service = []"));
    let (Ok(config), Ok(wanted)) = (parse(text), parse(wanted)) else {
        return;
    };
    // Its services stand elsewhere, and none may stand here.
    if config.settings.services_file.is_some() {
        return;
    }
    changed(text, &config, &wanted.topology);
    changed("service = []\n", &Config::from(Topology::default()), &config.topology);
});

fn changed(text: &str, config: &Config, next: &Topology) {
    let changed = match edit(text, &config.topology, next) {
        Ok(changed) => changed,
        Err(error) => panic!("{error}"),
    };
    match parse(&changed) {
        Ok(read) => {
            assert_eq!(read.topology, *next, "in {changed}");
            assert_eq!(read.settings, config.settings, "in {changed}");
        }
        Err(problems) => panic!("{problems:?} in {changed}"),
    }
}
