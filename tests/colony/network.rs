//! A node of its own: a network namespace, and a wire between it and the colony that can fail.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Nodes that this process has made; its number and theirs are in all names.
static NODES: AtomicU32 = AtomicU32::new(0);

/// A network namespace with one wire to this one. Dropping it takes both away.
pub(crate) struct Node {
    namespace: String,
    /// The wire's end at the colony.
    wire: String,
    /// The colony's address on that wire.
    pub(crate) colony: String,
}

impl Node {
    /// Makes one; if that cannot be done here, why.
    pub(crate) fn new() -> Result<Self, String> {
        let (process, number) = (std::process::id(), NODES.fetch_add(1, Ordering::Relaxed));
        let namespace = format!("coral-{process}-{number}");
        let wire = format!("cr{process}-{number}");
        let net = |host: u32| {
            let [.., high, low] = process.to_be_bytes();
            format!("10.{high}.{low}.{}", 4 * number + host)
        };
        run(&format!("ip netns add {namespace}"))?;
        let node = Self {
            colony: net(1),
            namespace,
            wire,
        };
        let Self {
            namespace, wire, ..
        } = &node;
        for command in [
            format!("ip link add {wire} type veth peer name colony netns {namespace}"),
            format!("ip address add {}/30 dev {wire}", net(1)),
            format!("ip link set {wire} up"),
            format!("ip -n {namespace} address add {}/30 dev colony", net(2)),
            format!("ip -n {namespace} link set colony up"),
            format!("ip -n {namespace} link set lo up"),
        ] {
            run(&command)?;
        }
        node.filter("")?;
        Ok(node)
    }

    /// A command that runs there.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace));
        command.arg("--").arg(program);
        command
    }

    /// Loses every packet, in both directions, and tells nobody.
    pub(crate) fn partition(&self) {
        self.filter("drop").unwrap();
    }

    /// Loses one packet in five and doubles one in five, in each direction.
    pub(crate) fn disturb(&self) {
        let one_in_five = "numgen random mod 5 == 0";
        let rules = format!("{one_in_five} drop; {one_in_five} dup to WIRE");
        self.filter(&rules).unwrap();
    }

    /// Pulls the wire out.
    pub(crate) fn unplug(&self) {
        run(&format!("ip link set {} down", self.wire)).unwrap();
    }

    /// Mends the wire, whatever was done to it.
    pub(crate) fn heal(&self) {
        run(&format!("ip link set {} up", self.wire)).unwrap();
        self.filter("").unwrap();
    }

    /// Puts rules for packets in the place of those that there are, for what leaves either end.
    fn filter(&self, rules: &str) -> Result<(), String> {
        let table = format!("netdev {}", self.wire);
        let there = format!("nsenter --net=/run/netns/{} nft -f -", self.namespace);
        for (nft, device) in [("nft -f -", self.wire.as_str()), (&there, "colony")] {
            let rules = rules.replace("WIRE", device);
            let hook = format!("type filter hook egress device {device} priority 0");
            let script = format!(
                "add table {table}; delete table {table}; \
                 table {table} {{ chain out {{ {hook}; {rules}; }}; }}"
            );
            run_with(nft, &script)?;
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // What is gone with something else is gone already.
        let _ = run(&format!("nft delete table netdev {}", self.wire));
        let _ = run(&format!("ip link delete {}", self.wire));
        let _ = run(&format!("ip netns delete {}", self.namespace));
    }
}

fn run(command: &str) -> Result<(), String> {
    run_with(command, "")
}

/// Runs it with that on its stdin.
fn run_with(command: &str, input: &str) -> Result<(), String> {
    let failed = |why: String| format!("`{command}` fails: {why}: {input}");
    let mut words = command.split(' ');
    let mut child = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    // One that ends without reading says why.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
