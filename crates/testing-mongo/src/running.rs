//! A server that runs.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::set::{add_user, ready, wait};
use crate::{Error, Program};

/// The name of the first user that is added.
pub const ROOT: &str = "root";

/// The password of all users that are added.
pub const PASSWORD: &str = "a-password";

/// How a server is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Where it listens on 127.0.0.1; a free port where this is none.
    pub port: Option<u16>,
    /// Whether what it acknowledges outlives its death. It costs time, which tests have better use for.
    pub durable: bool,
    /// Whether it asks for credentials.
    pub auth: bool,
    /// Whether it is no member of a replica set.
    pub standalone: bool,
}

/// A server that runs. It is killed when it is dropped; its directory stays.
#[derive(Debug)]
pub struct Running {
    process: Child,
    port: u16,
}

impl Program {
    /// Starts a server with its data in a directory, made where there is none, and waits until it takes writes.
    ///
    /// # Errors
    /// When it cannot be started, ends, or does not answer in a few seconds.
    pub fn start(&self, directory: &Path, options: Options) -> Result<Running, Error> {
        let not_started = |why| Error::NotStarted { program: self.path.display().to_string(), why };
        let data = directory.join("data");
        fs::create_dir_all(&data).map_err(not_started)?;
        let port = options.port.map_or_else(free_port, Ok).map_err(not_started)?;
        let output = directory.join("output");
        let log = File::create(&output).map_err(not_started)?;
        let key = directory.join("key");
        write_key(&key).map_err(not_started)?;
        let mut command = Command::new(&self.path);
        command.args(self.arguments(&data, port, options, key.to_str())).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(not_started)?).stderr(log);
        let process = command.spawn().map_err(not_started)?;
        let running = Running { process, port };
        let member = !options.standalone;
        match wait(ready(port, member)) {
            Some(Ok(())) => Ok(running),
            Some(Err(error)) => Err(not_ready(&error.to_string(), &output)),
            None => Err(not_ready("no runtime to ask it with", &output)),
        }
    }

    fn arguments(&self, data: &Path, port: u16, options: Options, key: Option<&str>) -> Vec<String> {
        let data = data.display().to_string();
        let mut arguments = vec!["--port".into(), port.to_string()];
        let mut add = |more: &[&str]| arguments.extend(more.iter().copied().map(str::to_owned));
        if self.is_mongod() {
            add(&["--dbpath", &data, "--bind_ip", "127.0.0.1", "--setParameter", "enableTestCommands=1"]);
            if !options.standalone {
                add(&["--replSet", "rs0"]);
            }
        } else {
            add(&["--storage-path", &data, "--host", "127.0.0.1", "--enable-test-commands"]);
            if options.durable {
                add(&["--sync-on-commit"]);
            }
            if options.standalone {
                add(&["--standalone"]);
            }
        }
        if options.auth {
            add(&["--auth"]);
        }
        if let Some(key) = &key.filter(|_| self.is_mongod() && options.auth && !options.standalone) {
            add(&["--keyFile", key]);
        }
        arguments
    }
}

/// The key with which members of a set know each other, as mongod asks for one where it asks for credentials.
fn write_key(path: &Path) -> std::io::Result<()> {
    fs::write(path, "a key that only tests use")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn not_ready(why: &str, output: &PathBuf) -> Error {
    let text = fs::read_to_string(output).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(10).collect();
    let last: Vec<_> = lines.into_iter().rev().map(|line| line.chars().take(300).collect::<String>()).collect();
    Error::NotReady { why: why.to_owned(), output: last.join("\n") }
}

impl Running {
    /// Its URI.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    /// Adds a user with this role on a database. The first one that is added must be a `root` on `admin`, and is who adds
    /// the others.
    ///
    /// # Errors
    /// What the server says.
    pub fn add_user(&self, name: &str, (role, database): (&str, &str)) -> Result<(), String> {
        let first = role == "root";
        let who = if first { String::new() } else { format!("{ROOT}:{PASSWORD}@") };
        let uri = format!("mongodb://{who}127.0.0.1:{}/?directConnection=true", self.port);
        add_user(uri, name, (role, database))
    }

    /// Its URI with a user that was added.
    pub fn uri_of(&self, name: &str, password: &str) -> String {
        format!("mongodb://{name}:{password}@127.0.0.1:{}/", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Kills it without a word, as a power cut would.
    pub fn kill(self) {
        drop(self);
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// What the host says.
    pub fn wait(&mut self) -> std::io::Result<()> {
        self.process.wait().map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
