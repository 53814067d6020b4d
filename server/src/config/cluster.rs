//! The place of a server in a cluster.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use letschat_flags::files;
use letschat_server::settings::{BellLocation, ClusterSettings, ServerName, StoreLocation};

use super::password::{PasswordError, Places, SecretParser};

/// The places of the bell's password.
const PASSWORD: Places = Places {
    what: "cluster",
    variable: "LETSCHAT_SERVER_CLUSTER_PASSWORD",
    flag: "--cluster-password-file",
};

/// The cluster, and the credentials for its bell.
#[derive(Debug, Args)]
pub(super) struct ClusterFlags {
    /// Be one of several servers of the same --store mysql://..., which ring each other through a Valkey or Redis server:
    /// redis://[USER@]HOST[:PORT][/NUMBER], or rediss:// with TLS
    #[arg(
        long,
        env = "LETSCHAT_SERVER_CLUSTER",
        hide_env_values = true,
        value_name = "URL",
        value_parser = SecretParser::<BellLocation>::of("--cluster (or LETSCHAT_SERVER_CLUSTER)"),
        conflicts_with = "classroom"
    )]
    cluster: Option<BellLocation>,

    /// The name of this server in its cluster [default: this machine's name]
    #[arg(long, env = "LETSCHAT_SERVER_NAME", value_name = "NAME")]
    name: Option<ServerName>,

    /// A file with the password for Valkey or Redis, and nothing else [or: the password itself in
    /// LETSCHAT_SERVER_CLUSTER_PASSWORD]
    #[arg(long, env = "LETSCHAT_SERVER_CLUSTER_PASSWORD_FILE", value_name = "FILE")]
    cluster_password_file: Option<PathBuf>,

    /// A PEM file with the certificate authorities for Valkey or Redis, instead of the system's [with rediss://]
    #[arg(long, env = "LETSCHAT_SERVER_CLUSTER_CA", value_name = "FILE")]
    cluster_ca: Option<PathBuf>,
}

/// The settings of the cluster are incomplete or contradictory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterFlagsError {
    #[error("the servers of a cluster share a database: --cluster needs --store mysql://...")]
    NoSharedStore,
    #[error("--name, --cluster-password-file and --cluster-ca are of use only with --cluster")]
    Useless,
    #[error("can't use the certificate authorities in {path}, which --cluster-ca names: {source}")]
    Authority { path: PathBuf, source: io::Error },
    #[error("this machine has no name that can be a server's; choose one with --name")]
    NoName,
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl ClusterFlags {
    /// Returns the place in the cluster, if the server belongs to one.
    pub(super) fn settings(
        &self,
        store: &StoreLocation,
    ) -> Result<Option<ClusterSettings>, ClusterFlagsError> {
        let Some(mut bell) = self.cluster.clone() else {
            return match (&self.name, &self.cluster_password_file, &self.cluster_ca) {
                (None, None, None) => Ok(None),
                _ => Err(ClusterFlagsError::Useless),
            };
        };
        if !matches!(store, StoreLocation::Mysql(_)) {
            return Err(ClusterFlagsError::NoSharedStore);
        }
        let name = match &self.name {
            Some(name) => name.clone(),
            None => machine().ok_or(ClusterFlagsError::NoName)?,
        };
        bell.password = PASSWORD.password(self.cluster_password_file.as_deref())?;
        if let Some(path) = &self.cluster_ca {
            let unusable = |source| ClusterFlagsError::Authority { path: path.clone(), source };
            files::refuse_irregular(path).map_err(unusable)?;
            bell.authority = Some(fs::read(path).map_err(unusable)?);
        }
        Ok(Some(ClusterSettings { name, bell }))
    }
}

fn machine() -> Option<ServerName> {
    rustix::system::uname().nodename().to_str().ok()?.parse().ok()
}
