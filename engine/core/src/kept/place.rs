//! The places in which a host keeps records, and what makes them safe: root reads and writes only in folders that
//! nobody but root can change.

/// Sets `$K` to the folder of the journal: root's is the host's, anybody else has one in their home, which root never
/// reads. Ends the script where others can change the folder.
pub(crate) const FOLDER: &str = r#"K=/var/lib/kstate; [ "$(id -u)" = 0 ] || K=${XDG_STATE_HOME:-$HOME/.local/state}/kstate
if [ -e "$K" ] || [ -L "$K" ]; then
[ -n "$(find "$K" -maxdepth 0 -type d -user "$(id -u)" ! -perm /022 2>/dev/null)" ] || { echo "others than $(id -un) can change $K, or it is not a folder: nothing in it is trusted; move it away" >&2; exit 1; }
fi
"#;

/// Makes `$K`, in which others may pass but not look; what is made in it is its owner's.
pub(crate) const MAKE: &str = "[ -d \"$K\" ] || (umask 066; mkdir -p \"$K\") || exit 1\numask 077\n";
