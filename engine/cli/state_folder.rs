//! What kstate keeps on this machine beyond a cache: below `~/.local/state/kstate`, for its owner alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;

/// Returns a folder of this name, and makes it if it is missing.
pub(crate) fn folder(name: &str) -> io::Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let Some(state) = state.or_else(home) else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "`$HOME` is not set"));
    };
    let own = state.join("kstate");
    let folder = own.join(name);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    for made in [&own, &folder] {
        fs::set_permissions(made, fs::Permissions::from_mode(0o700))?;
    }
    Ok(folder)
}
