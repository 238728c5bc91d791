//! Paths in files of servers, which are relative to the file that they stand in.

use std::path::{Path, PathBuf};

use crate::access::Settings;
use crate::access::audit::AuditSettings;

/// Lets paths not depend on where the program runs.
pub(super) fn relative_to(file: &Path, paths: Vec<&mut PathBuf>) {
    let folder = file.parent().unwrap_or(Path::new(""));
    for path in paths {
        *path = folder.join(&*path);
    }
}

pub(super) fn of_access(access: &mut Settings) -> Vec<&mut PathBuf> {
    let tls = access.tls.iter_mut();
    tls.flat_map(|tls| [&mut tls.ca, &mut tls.certificate, &mut tls.key])
        .flatten()
        .collect()
}

pub(super) fn of_audit(audit: &mut Option<AuditSettings>) -> Vec<&mut PathBuf> {
    let audit = audit.iter_mut();
    audit
        .flat_map(|audit| audit.anchor.iter_mut().chain([&mut audit.path]))
        .collect()
}
