//! The config and the orbs that it uses: each a package of jobs, commands and executors.

use std::collections::HashMap;
use std::rc::Rc;

use indexmap::IndexMap;

use super::keys::{COMMAND, EXECUTOR, JOB, ORB};
use super::parameter::Declares;
use super::place::Place;
use super::{Declarations, Reader};
use crate::OrbReference;
use crate::diagnostic::{code, error};
use crate::yaml::{self, Home, Mapping, Node, Span, Value};

/// Something with parameters and a body.
pub(crate) struct Definition {
    pub(crate) name_span: Span,
    pub(crate) parameters: Declarations,
    /// The mapping without `parameters`, still with its templates.
    pub(crate) body: Node,
}

pub(crate) type Definitions = IndexMap<Rc<str>, Definition>;

/// What a package defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Job,
    Command,
    Executor,
}

/// A config or an orb.
#[derive(Default)]
pub(crate) struct Package {
    /// `circleci/node@5.1.0`, or the alias of an inline orb; empty for the config itself.
    pub(crate) name: String,
    /// Whether it is written in the config, so that its author can change it.
    pub(crate) own: bool,
    pub(crate) jobs: Definitions,
    pub(crate) commands: Definitions,
    pub(crate) executors: Definitions,
    /// By alias. One that is not at hand, or wrong, is kept as `None`: it has been reported, and
    /// what is used of it is not unknown.
    orbs: IndexMap<Rc<str>, Option<Home>>,
}

/// The config, and all orbs that it and its orbs use. A [`Home`] is an index of it.
pub(crate) struct Packages(Vec<Package>);

/// What a name stands for.
pub(crate) enum Lookup<'a> {
    Found(&'a Definition),
    /// It belongs to an orb that is not there, which has been reported.
    Unavailable,
    Absent,
}

impl Package {
    pub(crate) fn definitions(&self, kind: Kind) -> &Definitions {
        match kind {
            Kind::Job => &self.jobs,
            Kind::Command => &self.commands,
            Kind::Executor => &self.executors,
        }
    }
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Command => "command",
            Self::Executor => "executor",
        }
    }

    /// The diagnostic of a name that is not there.
    const fn unknown(self) -> &'static str {
        match self {
            Self::Job => code::UNKNOWN_JOB,
            Self::Command => code::UNKNOWN_COMMAND,
            Self::Executor => code::UNKNOWN_EXECUTOR,
        }
    }
}

impl Packages {
    /// The config itself.
    pub(crate) fn main(&self) -> &Package {
        &self.0[0]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Home, &Package)> {
        let homes = (0..=u16::MAX).map(Home);
        homes.zip(&self.0)
    }

    /// The package, and the name there, that a name means where it stands: `name`, or `alias/name`
    /// for one of an orb. What has such a name itself, as in an expanded config, goes first.
    pub(crate) fn locate<'n>(
        &self,
        kind: Kind,
        home: Home,
        name: &'n str,
    ) -> Option<(Home, &'n str)> {
        match name.split_once('/') {
            Some((alias, element)) if !self.at(home).definitions(kind).contains_key(name) => {
                let orb = self.at(home).orbs.get(alias).copied()??;
                Some((orb, element))
            }
            _ => Some((home, name)),
        }
    }

    pub(crate) fn at(&self, home: Home) -> &Package {
        &self.0[usize::from(home.0)]
    }

    /// What a name means where it stands.
    pub(crate) fn find(&self, kind: Kind, home: Home, name: &str) -> Lookup<'_> {
        let found = self
            .locate(kind, home, name)
            .and_then(|(home, name)| self.at(home).definitions(kind).get(name));
        let alias = name.split_once('/').map(|(alias, _)| alias);
        match (found, alias.and_then(|alias| self.at(home).orbs.get(alias))) {
            (Some(definition), _) => Lookup::Found(definition),
            (None, Some(None)) => Lookup::Unavailable,
            (None, _) => Lookup::Absent,
        }
    }

    /// [`Packages::find`]; what is absent is reported.
    pub(crate) fn require(
        &self,
        reader: Reader<'_>,
        kind: Kind,
        home: Home,
        name: &str,
        span: Span,
    ) -> Option<&Definition> {
        match self.find(kind, home, name) {
            Lookup::Found(definition) => Some(definition),
            Lookup::Unavailable => None,
            Lookup::Absent => {
                self.report_absent(reader, kind, home, name, span);
                None
            }
        }
    }

    fn report_absent(&self, reader: Reader<'_>, kind: Kind, home: Home, name: &str, span: Span) {
        let (what, code) = (kind.as_str(), kind.unknown());
        let Some((alias, element)) = name.split_once('/') else {
            let names = || self.at(home).definitions(kind).keys().map(|name| &**name);
            let help = reader
                .cx
                .hint(name, names(), |all| match names().next().is_none() {
                    true => format!("add it under `{what}s` at the top level"),
                    false => format!("there is {all}"),
                });
            let message = format!("there is no {what} `{name}`");
            reader.report(error(code, span, message).maybe_help(help));
            return;
        };
        let Some((orb, _)) = self.locate(kind, home, name) else {
            let names = || self.at(home).orbs.keys().map(|name| &**name);
            let help = reader.cx.hint(alias, names(), |_| {
                format!("import it: `orbs:` with `{alias}: namespace/{alias}@1.0.0`")
            });
            let message = format!("no orb is imported as `{alias}`");
            reader.report(error(code::UNKNOWN_ORB, span, message).maybe_help(help));
            return;
        };
        let orb = self.at(orb);
        let names = || orb.definitions(kind).keys().map(|name| &**name);
        let help = reader
            .cx
            .hint(element, names(), |all| match names().next().is_none() {
                true => format!("it has no {what}s at all"),
                false => format!("it has {all}"),
            });
        let message = format!("the orb {} has no {what} `{element}`", orb.name);
        reader.report(error(code, span, message).maybe_help(help));
    }
}

impl Reader<'_> {
    /// The definitions of a config and its orbs. Pipeline parameters have been substituted before.
    pub(crate) fn packages(self, root: &Mapping) -> Packages {
        let mut loader = Loader {
            reader: self,
            packages: vec![],
            known: HashMap::new(),
        };
        let main = Package {
            own: true,
            ..Package::default()
        };
        loader.package(main, root, 0);
        Packages(loader.packages)
    }

    fn definitions(self, root: &Mapping, key: &str, place: &Place, by: Declares) -> Definitions {
        let mut definitions = Definitions::new();
        let Some(all) = root
            .present(key)
            .and_then(|node| self.mapping(node, &format!("`{key}`")))
        else {
            return definitions;
        };
        for (name, entry) in &all.entries {
            let what = format!("`{name}` in `{key}`");
            let Some(body) = self.mapping(&entry.value, &what) else {
                continue;
            };
            self.check_keys(body, place);
            let parameters = self.declarations(body.present("parameters"), by);
            let mut body = Mapping::clone(body);
            body.entries.shift_remove("parameters");
            let body = Node::mapping(entry.value.span, body).at_home(entry.value.home);
            let definition = Definition {
                name_span: entry.key_span,
                parameters,
                body,
            };
            definitions.insert(name.clone(), definition);
        }
        definitions
    }
}

/// Orbs in orbs in orbs.
const DEEPEST: usize = 50;
/// Orbs together. More would hardly be meant.
const MOST: usize = 1_000;

struct Loader<'a> {
    reader: Reader<'a>,
    packages: Vec<Package>,
    /// Orbs that are not inline, so that each is read once.
    known: HashMap<OrbReference, Option<Home>>,
}

impl Loader<'_> {
    fn next_home(&self) -> Home {
        Home(u16::try_from(self.packages.len()).unwrap_or(u16::MAX))
    }

    fn package(&mut self, package: Package, body: &Mapping, depth: usize) -> Home {
        let home = self.next_home();
        let read = |key, place, by| self.reader.definitions(body, key, place, by);
        let package = Package {
            jobs: read("jobs", &JOB, Declares::Job),
            commands: read("commands", &COMMAND, Declares::Command),
            executors: read("executors", &EXECUTOR, Declares::Executor),
            ..package
        };
        self.packages.push(package);
        let Some(orbs) = body
            .present("orbs")
            .and_then(|node| self.reader.mapping(node, "`orbs`"))
        else {
            return home;
        };
        for (alias, entry) in &orbs.entries {
            let orb = self.orb(alias, &entry.value, depth + 1);
            self.packages[usize::from(home.0)]
                .orbs
                .insert(alias.clone(), orb);
        }
        home
    }

    fn orb(&mut self, alias: &Rc<str>, node: &Node, depth: usize) -> Option<Home> {
        if depth > DEEPEST || self.packages.len() >= MOST {
            let message = format!(
                "orbs use orbs more than {DEEPEST} levels deep, or there are more than {MOST}"
            );
            let draft = error(code::TOO_DEEP, node.span, message);
            self.reader.cx.stop(draft.help("use fewer orbs"));
            return None;
        }
        match &node.value {
            Value::Mapping(_) => self.inline(alias, node, depth),
            _ => self.reference(node, depth),
        }
    }

    fn inline(&mut self, alias: &Rc<str>, node: &Node, depth: usize) -> Option<Home> {
        let node = node.moved(self.next_home());
        let body = node.as_mapping()?;
        if body.entries.is_empty() {
            // Tools that test orbs put the source here.
            let message = format!("the orb `{alias}` is empty here");
            self.reader.report(
                error(code::ORB_NOT_AT_HAND, node.span, message)
                    .help("put its `commands`, `executors` and `jobs` here, or name a version"),
            );
            return None;
        }
        self.reader.check_keys(body, &ORB);
        let package = Package {
            name: alias.to_string(),
            own: true,
            ..Package::default()
        };
        Some(self.package(package, body, depth))
    }

    fn reference(&mut self, node: &Node, depth: usize) -> Option<Home> {
        let reader = self.reader;
        let text = reader.name(node, "an orb")?;
        let reference: OrbReference = match text.parse() {
            Ok(reference) => reference,
            Err(invalid) => {
                let message = format!("`{text}` names no orb: {invalid}");
                reader.report(
                    error(code::BAD_ORB, node.span, message)
                        .help("write `namespace/orb@1.2.3`, an https URL, or the orb itself"),
                );
                return None;
            }
        };
        if let Some(known) = self.known.get(&reference) {
            return *known;
        }
        let cx = reader.cx;
        let Some(file) = cx.sources.orb(&cx.options.orbs, &reference) else {
            cx.report_missing_orb(&reference, node.span);
            self.known.insert(reference, None);
            return None;
        };
        // It is known from now on, so that orbs that use each other end here.
        self.known.insert(reference.clone(), Some(self.next_home()));
        let body = yaml::parse(file, &cx.options.limits, cx.sink())
            .map(|document| document.root.moved(self.next_home()));
        let body = body
            .as_ref()
            .and_then(|root| reader.mapping(root, "an orb"));
        let Some(body) = body else {
            self.known.insert(reference, None);
            return None;
        };
        let package = Package {
            name: file.name.to_owned(),
            ..Package::default()
        };
        Some(self.package(package, body, depth))
    }
}
