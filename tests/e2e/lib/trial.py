#!/usr/bin/env python3
"""What faults.py and full.py put homes through: fresh copies of a home, the command that is
disturbed, and what must hold after it.  Run as a program: make a copied home a clean start.

usage: trial.py HOME
"""
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import messages

LIMIT_S = 60
o = None         # huren, network, work, messages: see setup
REPORTS = 0      # in the messages
documents = []   # the charter's four


def setup(options):
    global o, REPORTS
    o = options
    REPORTS = open(o.messages, "rb").read().count(b"MSH|")
    documents[:] = sorted(glob.glob(f"{o.network}/charter/*.charter"))


def run(home, *args, limit=LIMIT_S):
    p = subprocess.run([o.huren, "--home", home, *args], capture_output=True, timeout=limit)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")


def must(home, *args):
    code, out, err = run(home, *args)
    if code != 0:
        raise Wrong(f"{' '.join(args)}: exit {code}: {out.strip()[:200]} {err.strip()[:300]}")
    return out


class Wrong(Exception):
    pass


def own_copy(home):
    """Make a copy's HOME/last-signed say what it would say had this home been made here: a copy
    is no clean start (it might be a clone), and would not sign."""
    path = f"{home}/last-signed"
    if not os.path.exists(path):
        return
    data = os.stat(f"{home}/store/data.mdb")
    lines = []
    for line in open(path).read().splitlines():
        if line.startswith("data "):
            line = f"data {data.st_dev} {data.st_ino}"
        elif line.startswith("written "):
            line = f"written {int(time.time() * 1000)}"
        if not line.startswith("sum "):
            lines.append(line + "\n")
    text = "".join(lines)
    with open(path, "w") as f:
        f.write(text + f"sum {hashlib.sha256(text.encode()).hexdigest()}\n")


def fresh(which, home):
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(f"{o.network}/{which}", home)
    own_copy(home)


def made(which, *commands):
    """The home `which` after these commands; made once."""
    name = which + "-" + "-".join(c[0] for c in commands)
    home = f"{o.network}/{name}"
    if not os.path.exists(home):
        fresh(which, home)
        for c in commands:
            must(home, *c)
    return name


def sound(home):
    code, out, err = run(home, "audit", "verify")
    if code != 0:
        raise Wrong(f"audit verify: exit {code}: {out.strip()[:500]} {err.strip()[:200]}")


def status(home):
    return json.loads(must(home, "--json", "status"))["networks"][0]


def log_size(home, of):
    return next((l["size"] for l in status(home)["logs"] if l["origin"].endswith(of)), 0)


# ---- scenarios: prepare a home, the command, what must hold after it --------------------


class Scenario:
    """What they share: a home that is there before and after."""

    good = (0,)           # exit codes without a fault
    misses = 0.0          # how many of the calls may not come again: none, one thread does the work
    left_alone = ()       # system calls of which no failure is tried
    child_may_die = False
    counts = 1            # how often its calls are counted
    whole = True          # set before `done`: it said that it was done,
    killed = False        # it was killed,
    err = ""              # and what it said of errors

    def touches(self):
        """Paths beside the home that it reads or writes."""
        return ()

    def sound(self, home):
        sound(home)

    def end(self):
        pass


class Publish(Scenario):
    """huren import of a file, in a home without a daemon"""

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *documents]), home)

    def command(self, home):
        return ["import", o.messages]

    def done(self, home, out):
        acked = len(re.findall(r": published$", out, re.M))
        again = must(home, "import", o.messages)
        there = again.count("there already") - 1  # the summary says it, too
        published = len(re.findall(r": published$", again, re.M))
        if there < acked:
            raise Wrong(f"{acked} reports were acknowledged, {there} are there")
        if there + published != REPORTS or log_size(home, "h1/pub") != REPORTS:
            raise Wrong(f"{there} there already, {published} published, "
                        f"log of {log_size(home, 'h1/pub')}, expected {REPORTS}")


class Adopt(Scenario):
    """huren charter adopt of all four documents"""

    def prepare(self, home):
        fresh("h2", home)

    def command(self, home):
        return ["charter", "adopt", *documents]

    def done(self, home, out):
        acked = set(re.findall(r"^(\w+) 1 of \S+: adopted$", out, re.M))
        before = {d["kind"] if isinstance(d, dict) else d for d in status(home)["charter"]}
        if not acked <= before:
            raise Wrong(f"adopted were {sorted(acked)}, there are {sorted(before)}")
        must(home, *self.command(home))
        if len(status(home)["charter"]) != 4:
            raise Wrong(f"not all documents are there: {status(home)['charter']}")
        adopted = [l for l in status(home)["logs"] if "/h2/exch/" in l["origin"]]
        if len(adopted) != 1 or adopted[0]["size"] != 4:
            raise Wrong(f"exch logs after adoption: {adopted}")


class Receive(Scenario):
    """a daemon that takes the entries and records of another"""

    # nng does not look whether a socket became non-blocking (nor does the kernel ever refuse
    # it), and waits in it for ever
    left_alone = ("fcntl",)
    author = None
    counts = 4
    misses = 0.1  # threads, timers and a peer: no two runs are the same

    def prepare(self, home):
        if Receive.author is None:
            Receive.author = f"{o.work}/author"
            fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), Receive.author)
            Receive.daemon = subprocess.Popen([o.huren, "--home", Receive.author, "serve"],
                                           stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        fresh(made("h2", ["charter", "adopt", *documents]), home)

    def command(self, home):
        return ["serve"]

    def until(self, home):
        if not os.path.exists(f"{home}/control"):
            return False  # asking would own the home
        code, out, _ = run(home, "--json", "status")
        if code != 0:
            return False
        s = json.loads(out)["networks"][0]
        size = next((l["size"] for l in s["logs"] if l["origin"].endswith("h1/pub")), 0)
        return size == REPORTS

    def done(self, home, out):
        if os.path.exists(f"{home}/control"):
            os.remove(f"{home}/control")
        p = subprocess.Popen([o.huren, "--home", home, "serve"], stderr=subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
        end = time.time() + LIMIT_S
        while not self.until(home):
            if p.poll() is not None or time.time() > end:
                p.kill()
                raise Wrong("the next daemon does not take what is missing: " +
                            p.stderr.read().decode(errors="replace")[-300:])
            time.sleep(0.05)
        p.send_signal(signal.SIGTERM)
        if p.wait(LIMIT_S) != 0:
            raise Wrong(f"the next daemon ended with {p.returncode}")
        p.stderr.close()
        counts = json.loads(must(home, "--json", "audit", "verify"))["counts"]
        if log_size(home, "h1/pub") != REPORTS:
            raise Wrong(f"after it: {counts}")

    def end(self):
        if Receive.author:
            Receive.daemon.terminate()
            Receive.daemon.wait(30)
            Receive.author = None


class Backup(Scenario):
    """huren backup to a new folder"""

    child_may_die = True  # it looks at the copy

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), home)

    def command(self, home):
        return ["backup", home + ".backup"]

    def done(self, home, out):
        target = home + ".backup"
        made = self.whole or "cannot write the output" in self.err  # that it was made could not be said
        code, again, err = run(home, "audit", "verify", *([target] if made else []))
        if code != 0:
            raise Wrong(f"after a backup that said it was done: {again} {err}")
        left = glob.glob(target + "*") if not made and not self.killed else []
        if left:
            raise Wrong(f"a backup that failed left {left}")
        for path in glob.glob(target + "*"):  # of one that was killed
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        if os.path.exists(target):
            os.remove(target)
        must(home, *self.command(home))
        if log_size(home, "h1/pub") != REPORTS:
            raise Wrong("the log has another size")
        shutil.rmtree(target, ignore_errors=True)


class Restore(Scenario):
    """huren restore of a backup into a new home"""

    child_may_die = True

    def backup(self):
        return f"{o.network}/the-backup"

    def touches(self):
        return (self.backup(),)

    def prepare(self, home):
        if not os.path.exists(self.backup()):
            must(f"{o.network}/{made('h1', ['charter', 'adopt', *documents], ['import', o.messages])}", "backup", self.backup())
        shutil.rmtree(home, ignore_errors=True)

    def command(self, home):
        return ["restore", self.backup()]

    def sound(self, home):
        if os.path.exists(home + "/config.yaml"):  # else it is no home, and nothing opens it
            super().sound(home)

    def done(self, home, out):
        code, said, err = run(home, *self.command(home))
        if self.whole:
            if code != 2 or "is a home already" not in err:
                raise Wrong(f"after a restore that said it was done: {code} {said} {err}")
        elif not self.killed and code != 0 and not os.path.exists(home + "/config.yaml"):
            raise Wrong(f"after a restore that failed: {code} {said} {err}")
        elif code != 0 and not os.path.exists(home + "/config.yaml"):
            shutil.rmtree(home)  # what was killed is not taken for an empty folder
            must(home, *self.command(home))
        self.sound(home)
        if log_size(home, "h1/pub") != REPORTS:
            raise Wrong(f"the log has {log_size(home, 'h1/pub')} entries")


def exch_size(home):
    return log_size_like(home, "/exch/")


def log_size_like(home, part):
    return sum(l["size"] for l in status(home)["logs"] if part in l["origin"])


class Published(Scenario):
    """a home that published the messages"""

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), home)
        self.before = exch_size(home)


class Lookup(Published):
    """huren lookup in a home without a daemon, of what it published itself"""

    good = (0, 1)

    def command(self, home, patient=1):
        return ["--json", "lookup", "--patient", "RI:" + messages.card(patient), "--item", "LAB.K"]

    def done(self, home, out):
        shown = '"value"' in out  # it may have been cut
        logged = exch_size(home) - self.before
        if shown and not logged:
            raise Wrong("a decision was shown that is not in the exchange log")
        code, again, err = run(home, *self.command(home))
        if code not in self.good or len(json.loads(again)["results"]) != 1:
            raise Wrong(f"asked again: exit {code}: {again[:200]} {err[:200]}")
        if exch_size(home) != self.before + logged + 1:
            raise Wrong(f"the exchange log went from {self.before} to {exch_size(home)}")


class Outcome(Published):
    """huren outcome of a decision"""

    def prepare(self, home):
        super().prepare(home)
        code, out, err = run(home, *Lookup().command(home))
        self.decision = json.loads(out)["results"][0]["decisions"][0]["decided"]
        self.before = exch_size(home)

    def command(self, home):
        return ["outcome", self.decision, "recognized"]

    def done(self, home, out):
        logged = exch_size(home) - self.before
        if "logged as" in out and logged != 1:
            raise Wrong(f"the outcome was acknowledged, and {logged} entries were written")
        must(home, *self.command(home))
        if exch_size(home) != self.before + logged + 1:
            raise Wrong("the outcome is not in the exchange log")


class Correct(Published):
    """huren import of a correction of everything"""

    def command(self, home):
        corrected = home + ".c.hl7"
        with open(o.messages, "rb") as f:
            text = f.read().replace(b"|4.10|", b"|4.60|").replace(b"|CH|F", b"|CH|C").replace(b"||||F|", b"||||C|")
        with open(corrected, "wb") as f:
            f.write(text)
        return ["import", corrected]

    def done(self, home, out):
        acked = len(re.findall(r": corrected$", out, re.M))
        before = log_size(home, "h1/pub")
        if before not in (REPORTS + acked, 2 * REPORTS):
            raise Wrong(f"{acked} corrections were acknowledged, the log holds {before} entries")
        again = must(home, *self.command(home))
        if log_size(home, "h1/pub") != 2 * REPORTS:
            raise Wrong(f"after all corrections the log holds {log_size(home, 'h1/pub')}: {again}")
        os.remove(home + ".c.hl7")


class Quarantine(Published):
    """huren import of a message in no charset"""

    good = (1, 2)

    def command(self, home):
        bad = home + ".bad.hl7"
        with open(o.messages, "rb") as f:
            text = f.read().split(b"MSH|")[1].replace(b"UNICODE UTF-8", b"").decode()
        for a, b in (("欧阳测试", "René Test"), ("钾", "K"), ("电解质", "E"), ("LIS", "OLD")):
            text = text.replace(a, b)
        with open(bad, "wb") as f:
            f.write(b"MSH|" + text.encode("latin-1"))
        return ["import", bad]

    def done(self, home, out):
        kept = "1 records in quarantine" in out
        code, again, err = run(home, "import", "--retry")
        if kept and not err.strip():
            raise Wrong(f"what went into quarantine is not there: exit {code}: {again[:200]} {err[:200]}")
        code, again, err = run(home, *self.command(home))
        if "1 records in quarantine" not in again:
            raise Wrong(f"again: exit {code}: {again[:200]} {err[:200]}")
        os.remove(home + ".bad.hl7")


class Answer(Published):
    """a daemon that answers a look-up of another hospital"""

    def prepare(self, home):
        super().prepare(home)
        name = "h2-with-entries"
        if not os.path.exists(f"{o.network}/{name}"):  # it has the entries, not the records
            fresh(made("h2", ["charter", "adopt", *documents]), f"{o.network}/{name}")
            pair = [subprocess.Popen([o.huren, "--home", h, "serve"], stderr=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL) for h in (home, f"{o.network}/{name}")]
            end = time.time() + LIMIT_S
            while Receive.until(self, f"{o.network}/{name}") is False and time.time() < end:
                time.sleep(0.1)
            for p in pair:
                p.terminate()
                p.wait(LIMIT_S)
            super().prepare(home)
        self.asker = home + ".asker"
        fresh(name, self.asker)  # it keeps what it was given
        self.seen, self.tries = 0, 0

    def command(self, home):
        return ["serve"]

    def ask(self, patient):
        code, out, err = run(self.asker, *Lookup().command(self.asker, patient))
        self.last = f"exit {code}: {out[:300]} {err[:300]}"
        o = json.loads(out) if out.strip() else {"results": [], "silent": ["h1"]}
        return len(o["results"]) if not o["silent"] else 0

    def until(self, home):
        if not os.path.exists(f"{home}/control"):
            return False
        self.seen += self.ask(1)
        self.tries += 1
        return self.seen > 0 or self.tries > 20

    def done(self, home, out):
        if os.path.exists(f"{home}/control"):
            os.remove(f"{home}/control")
        logged = exch_size(home) - self.before
        if logged < self.seen:
            raise Wrong(f"{self.seen} answers were given and {logged} entries written")
        p = subprocess.Popen([o.huren, "--home", home, "serve"], stderr=subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
        try:
            end = time.time() + LIMIT_S
            while self.ask(2) == 0:  # the record of the first it has by now
                if p.poll() is not None:
                    raise Wrong(f"the next daemon ended: {p.stderr.read().decode(errors='replace')[-300:]}")
                if time.time() > end:
                    raise Wrong(f"the next daemon does not answer; the asker: {self.last}")
                time.sleep(0.1)
        finally:
            p.terminate()
            p.wait(LIMIT_S)
            p.stderr.close()
            shutil.rmtree(self.asker, ignore_errors=True)


class Release(Published):
    """huren release of a held report"""

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *documents]), home)
        must(home, "import", "--hold", o.messages)

    def command(self, home):
        return ["release", "--patient", "RI:" + messages.card(1), "--to", "h2", "--days", "7"]

    def done(self, home, out):
        listed = run(home, "--json", "release", "--list")[1].splitlines()
        if self.whole and len(listed) != 1:
            raise Wrong(f"it was released, and the list says: {listed}")
        must(home, *self.command(home))
        listed = must(home, "--json", "release", "--list").splitlines()
        if len(listed) != 1:
            raise Wrong(f"released again, and the list says: {listed}")


class Told(Scenario):
    """a daemon that is told of a recall"""

    def serve(self, home):
        return subprocess.Popen([o.huren, "--home", home, "serve"], stderr=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL)

    def wait(self, what, holds):
        end = time.time() + LIMIT_S
        while not holds():
            if time.time() > end:
                raise Wrong(what)
            time.sleep(0.1)

    def stop(self, *daemons):
        for p in daemons:
            p.terminate()
            p.wait(LIMIT_S)

    def make(self, author, home):
        """h2 relies on a result of h1, which is then corrected."""
        fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), author)
        fresh(made("h2", ["charter", "adopt", *documents]), home)
        pair = [self.serve(author), self.serve(home)]
        try:
            self.wait("h2 does not get the entries", lambda: Receive.until(self, home))
            self.wait("h2 gets no answer", lambda: not json.loads(run(
                home, *Lookup().command(home))[1])["silent"])
            self.wait("h1 does not hear who relies on it",
                      lambda: status(home)["recalls"]["relies_open"] == 0)
        finally:
            self.stop(*pair)
        correction = Correct()
        correction.command(author)
        must(author, *correction.command(author))

    def prepare(self, home):
        author, relying = f"{o.network}/h1-told", f"{o.network}/h2-told"
        if not os.path.exists(relying):
            self.make(author, relying)
        self.author = home + ".author"
        fresh("h1-told", self.author)
        fresh("h2-told", home)
        self.issuer = self.serve(self.author)

    def command(self, home):
        return ["serve"]

    def rows(self, home):
        return [json.loads(line) for line in run(home, "--json", "recall", "list")[1].splitlines()]

    def until(self, home):
        return os.path.exists(f"{home}/control") and len(self.rows(home)) > 0

    def acknowledged(self):
        return any(r.get("acknowledged_at") for r in self.rows(self.author))

    def done(self, home, out):
        try:
            acknowledged = self.acknowledged()
            if acknowledged and not self.rows(home):
                raise Wrong("a recall was acknowledged that is not kept")
            p = self.serve(home)
            try:
                self.wait("the next daemon is not told", self.acknowledged)
            finally:
                self.stop(p)
            if len(self.rows(home)) != 1:
                raise Wrong(f"recalls heard: {self.rows(home)}")
        finally:
            self.stop(self.issuer)
            shutil.rmtree(self.author, ignore_errors=True)


SCENARIOS = {"publish": Publish, "adopt": Adopt, "receive": Receive, "backup": Backup, "restore": Restore,
             "lookup": Lookup}
# Those that write in the store (a backup only reads it).
STORING = {"publish": Publish, "adopt": Adopt, "receive": Receive, "lookup": Lookup, "answer": Answer,
           "outcome": Outcome, "correct": Correct, "quarantine": Quarantine, "release": Release, "told": Told}


def end():
    if Receive.author:
        Receive().end()


if __name__ == "__main__":
    own_copy(sys.argv[1])
