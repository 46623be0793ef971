//! Interim.
#![allow(missing_docs)]
pub mod file {
    use crate::model::{check::check, period::Period, problem::{Place, Problem}, topology::*};
    use serde::Deserialize;
    #[derive(Debug, Deserialize)] pub struct Node { pub name: String, pub threads: Option<Count>, #[serde(default="d")] pub drain_timeout: Period, #[serde(default)] pub access_log: bool }
    fn d() -> Period { Period::from_secs(30) }
    #[derive(Debug)] pub struct Settings { pub node: Node }
    #[derive(Debug)] pub struct Config { pub settings: Settings, pub topology: Topology }
    #[derive(Deserialize)] struct F { node: Node, #[serde(default)] service: Vec<Service> }
    pub fn parse(t: &str) -> Result<Config, Vec<Problem>> {
        let f: F = toml::from_str(t).map_err(|e| vec![Problem::new(Place::root(), e.to_string())])?;
        let topology = Topology { services: f.service };
        let p = check(&topology);
        if p.is_empty() { Ok(Config { settings: Settings { node: f.node }, topology }) } else { Err(p) }
    }
    #[derive(Debug, thiserror::Error)] #[error("{0:?}")] pub struct ConfigError(Vec<Problem>);
    pub fn read(p: &std::path::Path) -> Result<Config, ConfigError> { parse(&std::fs::read_to_string(p).unwrap()).map_err(ConfigError) }
}
