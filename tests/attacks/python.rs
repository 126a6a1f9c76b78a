//! An environment of Python that another user can change: root runs nothing of it.

use crate::support::{Host, TestEnv};

#[test]
#[ignore = "needs a sandbox host"]
fn what_lies_in_the_environment_of_somebody_else_never_runs_as_root() {
    let host = Host::with("python", &["--full", "--user", "app"]);
    host.sh("mkdir -m 755 /marks; python3 -m venv /opt/own; cd /home/app && mkdir -p ve/bin && \
         printf '#!/bin/sh\ntouch /marks/$(id -un)\nexit 1\n' >ve/bin/python && chmod 755 ve/bin/python && \
         cp ve/bin/python ve/bin/pip && chown -R app:app ve && ln -s /home/app/ve /opt/link");
    let mut states = String::new();
    for (id, path) in [("a", "/home/app/ve"), ("b", "/opt/link"), ("c", "/home/app/new")] {
        states += &format!("{id}:\n  virtualenv.managed:\n    - name: {path}\n    - pip_pkgs: [six]\n");
    }
    states += "d:\n  pip.installed:\n    - name: six\n    - bin_env: /home/app/ve\n";
    states += "e:\n  pip.installed:\n    - name: six\n    - bin_env: /home/app/ve/bin/pip\n";
    states += "own:\n  virtualenv.managed:\n    - name: /opt/own\n";
    let env = TestEnv::of(&host, &states);
    for output in [env.diff(), env.apply()] {
        output.exits(1);
        for id in ["a", "b", "c", "d", "e"] {
            assert_eq!(output.outcome(id), "failed", "{id}: {output}");
            assert!(output.reason(id).contains("belongs to `app`"), "{id}: {output}");
            assert!(output.reason(id).contains("add `user: app`"), "{id}: {output}");
        }
        assert_ne!(output.outcome("own"), "failed", "{output}");
    }
    assert_eq!(host.sh("ls /marks; test ! -e /home/app/new && echo none"), "none");
}
