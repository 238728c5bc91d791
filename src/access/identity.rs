//! Who asks, and what they may do.

use std::collections::BTreeSet;
use std::fmt;

use coral_model::{Diagnostic, Escaped, ExitStatus, glob_matches};
use serde::{Deserialize, Serialize};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// See processes, functions and sessions.
    #[serde(rename = "debug:read")]
    Read,
    /// Attach probes, and change one's sessions.
    #[serde(rename = "debug:attach")]
    Attach,
    /// End sessions.
    #[serde(rename = "debug:detach")]
    Detach,
    /// Read what calls receive and return.
    #[serde(rename = "debug:capture")]
    Capture,
    /// Connect to a colony as the agent of that name. Nobody has it by another role.
    #[serde(rename = "agent")]
    Agent,
    /// All of it but being an agent, of every service in scope.
    #[serde(rename = "admin")]
    Admin,
}

/// Which services a right is for: names, or globs such as `shop-*`. No glob means none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Services(pub Vec<String>);

/// Somebody who has proven who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name, as a certificate or the configuration has it. It comes from outside: escape it.
    pub name: String,
    /// What they may do.
    pub roles: BTreeSet<Role>,
    /// Where.
    pub services: Services,
    /// How they have proven it.
    pub source: Source,
}

/// How somebody has proven who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A client certificate.
    Certificate,
    /// A bearer token.
    Token,
    /// The user of the process at the other end of a unix socket.
    UnixUser,
    /// Nothing but being on this machine, which the configuration allows.
    Loopback,
    /// The link to the colony that this server has opened itself.
    Colony,
}

impl Source {
    const ALL: [Self; 5] = [
        Self::Certificate,
        Self::Token,
        Self::UnixUser,
        Self::Loopback,
        Self::Colony,
    ];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Token => "token",
            Self::UnixUser => "unix_user",
            Self::Loopback => "loopback",
            Self::Colony => "colony",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

/// Why somebody may not do something. What it displays tells nothing about what exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody knows who asks.
    #[error("the server could not establish who asks")]
    Unidentified {
        /// What was wrong. For the audit log, not for whoever asked.
        reason: &'static str,
    },
    /// It is known who asks, and they may not.
    #[error(
        "{} may not do that there: it takes the role {role} for {scope}",
        Escaped(name)
    )]
    Forbidden {
        /// Who asked.
        name: String,
        /// The role that it takes.
        role: Role,
        /// For which services.
        scope: &'static str,
    },
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] = [
        Self::Read,
        Self::Attach,
        Self::Detach,
        Self::Capture,
        Self::Agent,
        Self::Admin,
    ];

    /// The name in configurations and certificates.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "debug:read",
            Self::Attach => "debug:attach",
            Self::Detach => "debug:detach",
            Self::Capture => "debug:capture",
            Self::Agent => "agent",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl Services {
    /// Every service.
    pub fn all() -> Self {
        Self(vec!["*".into()])
    }

    /// Whether a service is among them.
    pub fn contain(&self, service: &str) -> bool {
        self.0.iter().any(|glob| glob_matches(glob, service))
    }
}

impl Identity {
    /// Whether this may be done to that service. The same is said of services that do not exist.
    ///
    /// # Errors
    /// If the role is missing, or the service is out of scope.
    pub fn check(&self, role: Role, service: &str) -> Result<(), Denied> {
        self.grant(role, self.services.contain(service), "that service")
    }

    /// Whether this may be done to any service at all; for what costs much before its service is
    /// known.
    ///
    /// # Errors
    /// If the role is missing.
    pub fn check_anywhere(&self, role: Role) -> Result<(), Denied> {
        self.grant(role, !self.services.0.is_empty(), "that service")
    }

    /// Whether this may be done to every service; for what cannot be told apart by service.
    ///
    /// # Errors
    /// If the role is missing, or is for some services alone.
    pub fn check_everywhere(&self, role: Role) -> Result<(), Denied> {
        let has_all = self.services.0.iter().any(|glob| glob == "*");
        self.grant(role, has_all, "all services")
    }

    /// Whether this may be done to that service; for lists, which leave out what may not be seen.
    pub fn may(&self, role: Role, service: &str) -> bool {
        self.check(role, service).is_ok()
    }

    /// Whether this is the agent of that name. A certificate or a token proves the name; where only
    /// this machine is proven, any agent of it may come.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_agent(&self, agent_id: &str) -> Result<(), Denied> {
        let is_it = match self.source {
            Source::Certificate | Source::Token => self.name == agent_id,
            Source::UnixUser | Source::Loopback => true,
            Source::Colony => false,
        };
        let is_root = self.source == Source::UnixUser && self.roles.contains(&Role::Admin);
        if is_it && (is_root || self.roles.contains(&Role::Agent)) {
            return Ok(());
        }
        Err(Denied::Forbidden {
            name: self.name.clone(),
            role: Role::Agent,
            scope: "that name",
        })
    }

    fn grant(&self, role: Role, is_in_scope: bool, scope: &'static str) -> Result<(), Denied> {
        let has_role = self.roles.contains(&role) || self.roles.contains(&Role::Admin);
        if has_role && is_in_scope {
            return Ok(());
        }
        Err(Denied::Forbidden {
            name: self.name.clone(),
            role,
            scope,
        })
    }
}

impl Denied {
    /// What the audit log notes.
    pub fn reason(&self) -> String {
        match self {
            Self::Unidentified { reason } => (*reason).to_owned(),
            Self::Forbidden { role, scope, .. } => format!("no {role} for {scope}"),
        }
    }
}

impl Diagnostic for Denied {
    fn code(&self) -> &'static str {
        match self {
            Self::Unidentified { .. } => "unauthenticated",
            Self::Forbidden { .. } => "permission-denied",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Unidentified { .. } => {
                "give a client certificate of the server's CA, or a token that it knows; on the \
                 server's own machine, its configuration may let users in (`access`)"
                    .into()
            }
            Self::Forbidden {
                role: Role::Admin, ..
            } => {
                "leave out --fast-returns, which takes that role, or ask who runs the server for it"
                    .into()
            }
            Self::Forbidden { .. } => {
                "ask who runs the server for the role; its configuration names roles and services"
                    .into()
            }
        }
    }

    fn exit_status(&self) -> ExitStatus {
        ExitStatus::Unsupported
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(roles: &[Role], services: &[&str]) -> Identity {
        Identity {
            name: "ann".into(),
            roles: roles.iter().copied().collect(),
            services: Services(services.iter().map(|&glob| glob.to_owned()).collect()),
            source: Source::Token,
        }
    }

    #[test]
    fn a_role_is_for_its_services_and_for_nothing_else() {
        let reader = identity(&[Role::Read], &["shop-*", "pay"]);
        assert!(reader.may(Role::Read, "shop-eu"));
        assert!(reader.may(Role::Read, "pay"));
        assert!(!reader.may(Role::Read, "payments"));
        assert!(!reader.may(Role::Attach, "shop-eu"));
        let admin = identity(&[Role::Admin], &["shop"]);
        assert!(Role::ALL.into_iter().all(|role| admin.may(role, "shop")));
        assert!(!admin.may(Role::Read, "bank"));
        assert!(!identity(&[Role::Admin], &[]).may(Role::Read, "shop"));
    }

    #[test]
    fn a_refusal_is_the_same_for_a_role_and_a_service() {
        let reader = identity(&[Role::Read], &["shop"]);
        let of_role = reader.check(Role::Attach, "shop").unwrap_err();
        let of_service = reader.check(Role::Attach, "no such thing").unwrap_err();
        assert_eq!(of_role, of_service);
        let of_all = reader.check_everywhere(Role::Read).unwrap_err();
        assert!(of_all.to_string().ends_with("debug:read for all services"));
    }

    #[test]
    fn roles_have_the_names_of_their_documents() {
        for role in Role::ALL {
            assert_eq!(Role::of_name(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert_eq!(Role::of_name("root"), None);
    }
}
