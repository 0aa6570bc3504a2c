//! Steps of every kind with every key.

use super::generate::Generator;
use super::names::{Kind, Place};
use super::tree::{Tree, map, raw, text};

impl Generator<'_> {
    pub fn steps(&mut self, at: Place<'_>) -> Tree {
        let count = 1 + self.dice.below(3);
        Tree::List((0..count).map(|_| self.step(at)).collect())
    }

    fn step(&mut self, at: Place<'_>) -> Tree {
        let kinds = if at.depth > 2 { 12 } else { 16 };
        match self.dice.below(kinds) {
            0 => raw("checkout"),
            1 => map([("run", self.filled(at))]),
            2 | 3 => map([("run", self.run(at))]),
            4 => map([("checkout", self.checkout(at))]),
            5 => map([("save_cache", self.save_cache(at))]),
            6 => map([("restore_cache", self.restore_cache(at))]),
            7 => self.named(at, "store_artifacts", &["path", "destination"]),
            8 => self.named(at, "store_test_results", &["path"]),
            9 => map([("persist_to_workspace", self.persist(at))]),
            10 => self.named(at, "attach_workspace", &["at"]),
            11 => self.plain_or_named(at),
            12 => map([("when", self.conditional(at))]),
            13 => map([("unless", self.conditional(at))]),
            14 => self.command(at),
            _ => match at.reference(Kind::Steps) {
                Some(name) => map([("steps", raw(format!("<< {name} >>")))]),
                None => self.steps(at.deeper()),
            },
        }
    }

    fn run(&mut self, at: Place<'_>) -> Tree {
        let mut run = map([("command", self.filled(at))]);
        for key in ["name", "shell", "working_directory"] {
            if self.dice.one_in(3) {
                run.add(key, self.filled(at));
            }
        }
        if self.dice.one_in(3) {
            run.add("environment", self.environment(at));
        }
        if self.dice.one_in(3) {
            run.add("background", self.value(Kind::Boolean, at));
        }
        if self.dice.one_in(3) {
            run.add("when", self.value(Kind::Enum, at));
        }
        if self.dice.one_in(3) {
            run.add("no_output_timeout", raw("1h30m"));
        }
        if self.dice.one_in(3) {
            run.add("max_auto_reruns", self.value(Kind::Integer, at));
            run.add("auto_rerun_delay", raw("90s"));
        }
        run
    }

    fn checkout(&mut self, at: Place<'_>) -> Tree {
        let mut checkout = map([("path", self.filled(at))]);
        match self.dice.below(4) {
            0 => {}
            1 => checkout.add("method", raw("full")),
            2 => checkout.add("method", raw("blobless")),
            _ => {
                checkout.add("method", raw("shallow"));
                checkout.add("depth", self.value(Kind::Integer, at));
            }
        }
        checkout
    }

    fn save_cache(&mut self, at: Place<'_>) -> Tree {
        let key = text("v1-{{ checksum \"a\" }}-{{ .Branch }}");
        let mut save = map([("key", key), ("paths", Tree::List(vec![self.filled(at)]))]);
        if self.dice.one_in(2) {
            save.add("when", self.value(Kind::Enum, at));
        }
        save
    }

    fn restore_cache(&mut self, at: Place<'_>) -> Tree {
        let key = self.filled(at);
        match self.dice.below(3) {
            0 => map([("key", key)]),
            1 => map([("keys", Tree::List(vec![key, text("v1-")]))]),
            _ => map([("keys", Tree::List(vec![text("v1-")])), ("key", key)]),
        }
    }

    fn persist(&mut self, at: Place<'_>) -> Tree {
        let paths = Tree::List(vec![self.filled(at), text("*.bin")]);
        map([("root", raw(".")), ("paths", paths)])
    }

    /// A step with texts under these keys, and perhaps a name.
    fn named(&mut self, at: Place<'_>, step: &str, keys: &[&str]) -> Tree {
        let mut body = Tree::Map(vec![]);
        for key in keys {
            body.add(*key, self.filled(at));
        }
        if self.dice.one_in(2) {
            body.add("name", self.filled(at));
        }
        map([(step, body)])
    }

    fn plain_or_named(&mut self, at: Place<'_>) -> Tree {
        match self.dice.below(4) {
            0 => raw("setup_remote_docker"),
            1 => self.named(at, "setup_remote_docker", &["version"]),
            2 => raw("add_ssh_keys"),
            _ => {
                let fingerprints = Tree::List(vec![text("SHA256:abc"), self.filled(at)]);
                map([("add_ssh_keys", map([("fingerprints", fingerprints)]))])
            }
        }
    }

    fn conditional(&mut self, at: Place<'_>) -> Tree {
        let condition = self.condition(at);
        map([("condition", condition), ("steps", self.steps(at.deeper()))])
    }

    fn command(&mut self, at: Place<'_>) -> Tree {
        if at.known.commands.is_empty() {
            return raw("checkout");
        }
        let command = self.dice.pick(&at.known.commands).clone();
        match self.arguments(&command, at.deeper(), &[]) {
            arguments if arguments.is_empty() => raw(command.name),
            arguments => map([(&*command.name, Tree::Map(arguments))]),
        }
    }
}
