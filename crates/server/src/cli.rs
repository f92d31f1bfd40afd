//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// A machine cloud you can run on a laptop.
#[derive(Debug, Parser)]
#[command(name = "cloudm-server", version)]
pub(crate) struct Cli {
    /// Read this file instead of cloudm.toml in the working directory
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Start the server (the default)
    Serve,
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask the configured server whether it is ready; exit status 0 or 1
    Healthcheck,
    /// Print the API's description, OpenAPI 3.1
    Openapi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check that the configuration can be used; exit status 0 or 2
    Check,
    /// Print what is set, defaults included and secrets left out, as a cloudm.toml
    Show,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_said_means_serve_and_the_file_may_stand_anywhere() {
        assert_eq!(Cli::parse_from(["cloudm-server"]).command, None);
        let cli = Cli::parse_from(["cloudm-server", "config", "check", "--config", "x.toml"]);
        assert_eq!(cli.command, Some(Command::Config(ConfigCommand::Check)));
        assert_eq!(cli.config, Some("x.toml".into()));
    }
}
