//! What a server says when it is ready: where the API, its documentation and the data are.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Where a server keeps its worlds.
pub(crate) enum Data {
    /// In files of this directory.
    Directory(PathBuf),
    /// In memory only.
    Memory,
    /// In this database, which other servers may share.
    Database(String),
}

/// The start banner. Its first address is the one to send requests to, also when port 0 was asked for.
pub(crate) struct Banner {
    /// The address that is listened on, with its real port.
    pub(crate) bound: SocketAddr,
    pub(crate) data: Data,
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = format!("http://{}", reachable(self.bound));
        writeln!(f, "cloudm {} is ready; ctrl-c stops it", env!("CARGO_PKG_VERSION"))?;
        writeln!(f, "  API            {base}/api/v1")?;
        writeln!(f, "  documentation  {base}/apidocs/")?;
        match &self.data {
            Data::Directory(path) => writeln!(f, "  data           {}", path.display()),
            Data::Database(name) => writeln!(f, "  data           MongoDB, database {name}"),
            Data::Memory => writeln!(f, "  data           in memory, gone when the server stops"),
        }
    }
}

/// An address of this host that reaches a server bound to `bound`, which may be every address.
pub(crate) fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_where_everything_is() {
        let bound = "127.0.0.1:8080".parse().unwrap();
        let told = Banner { bound, data: Data::Directory("/srv/cloudm-data".into()) }.to_string();
        for part in ["http://127.0.0.1:8080/api/v1\n", "http://127.0.0.1:8080/apidocs/\n", "/srv/cloudm-data\n"] {
            assert!(told.contains(part), "'{part}' is not in: {told}");
        }
        let shared = Banner { bound, data: Data::Database("cloudm".into()) }.to_string();
        assert!(shared.ends_with("MongoDB, database cloudm\n"), "{shared}");
        assert!(Banner { bound, data: Data::Memory }.to_string().contains("gone when the server stops"));
    }

    #[test]
    fn a_server_on_every_address_is_reached_on_the_loopback() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()).to_string(), "127.0.0.1:1");
        assert_eq!(reachable("[::]:1".parse().unwrap()).to_string(), "[::1]:1");
        assert_eq!(reachable("192.0.2.1:1".parse().unwrap()).to_string(), "192.0.2.1:1");
    }
}
