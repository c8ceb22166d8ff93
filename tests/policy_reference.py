#!/usr/bin/env python3
"""A second implementation of the recognition decision, for testing the first.

Written from the contract alone, pack by pack and as plainly as possible; it
shares no code, no table and no pack file with the C library, only the catalog
and the item lists.  usage:

  policy_reference.py check HUREN [COUNT] [SEED]   decide COUNT random inputs with both, compare
  policy_reference.py vectors PACK                 write the pack's vectors, JSON lines
  policy_reference.py cases FILE                   compare itself with published cases
"""
import csv
import datetime as dt
import json
import pathlib
import random
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
T, F, U, NA = "true", "false", "unknown", "not_applicable"
STRENGTH = ["no_rule", "barred", "may", "should", "must"]
PREFIX = {"shanxi-2021": ["14"], "chuanyu-2022": ["51", "50"], "hunan-2025": ["43"],
          "hubei-2023": ["42"], "taiyuan-2024": ["1401"]}
MARKS = {"shanxi-2021": ["*"], "chuanyu-2022": ["川渝HR"], "hunan-2025": ["互认"],
         "hubei-2023": ["鄂HR", "★"], "taiyuan-2024": ["并HR"]}
NEGATIVE = {
    "shanxi-2021": "CONDITION_CHANGED RAPID_CHANGE MAJOR_DECISION RESULT_MISMATCH EMERGENCY "
                   "PATIENT_REQUEST SERIAL_COMPARISON FORENSIC",
    "chuanyu-2022": "",
    "hunan-2025": "CONDITION_CHANGED RAPID_CHANGE EXPIRED MAJOR_DECISION EMERGENCY FORENSIC "
                  "IMAGE_INADEQUATE PATIENT_REQUEST OTHER",
    "hubei-2023": "CONDITION_CHANGED RAPID_CHANGE MAJOR_DECISION EMERGENCY SERIAL_COMPARISON "
                  "FORENSIC IMAGE_INADEQUATE OTHER",
    "taiyuan-2024": "CONDITION_CHANGED RAPID_CHANGE MAJOR_DECISION EMERGENCY FORENSIC OTHER",
}
CHINA = dt.timezone(dt.timedelta(hours=8))
SPACE = set("\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
            "\u2009\u200a\u2028\u2029\u202f\u205f\u3000")


def table(path):
    with open(ROOT / path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f))


CATALOG = {row["code"]: row for row in table("policy/catalog/catalog.csv")}
RELATIONS = {}
for _row in table("policy/catalog/catalog-relations.csv"):
    RELATIONS.setdefault(_row["code_a"], []).append((_row["relation"], _row["code_b"]))
LISTS = {p: table(f"policy/packs/{p}/items.csv") for p in ("shanxi-2021", "chuanyu-2022", "hubei-2023")}


def members(pack):
    return {r["code"] for r in LISTS.get(pack, []) if not r["conditions"].startswith("DUPLICATE_ENTRY")}


MEMBERS = {p: members(p) for p in PREFIX}


def from_bool(value):
    return U if value is None else T if value else F


def all_of(*values):
    return F if F in values else U if U in values else T


def any_of(*values):
    return T if T in values else U if U in values else F


def equals(value, wanted):
    return U if value is None else from_bool(value == wanted)


def date(text):
    return None if text is None else dt.date.fromisoformat(text)


def instant(text):
    return None if text is None else dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def civil(moment):
    return None if moment is None else moment.astimezone(CHINA).date()


class Case:
    def __init__(self, given):
        self.given = given
        self.pack = given["pack"]
        self.at = instant(given.get("at"))
        self.D = civil(self.at)
        self.start = date(given.get("in_force_from"))
        self.code = given.get("item")
        self.item = CATALOG.get(self.code)
        self.kind = self.item["kind"] if self.item else None
        self.issuer = given.get("issuer") or {}
        self.receiver = given.get("receiver") or {}
        self.result = given.get("result") or {}
        self.examined = instant(self.result.get("examined_at"))
        self.E = civil(self.examined)
        self.quality = given.get("quality")
        self.annex = given.get("annex")
        self.order = given.get("order") or {}
        self.doctor = given.get("doctor") or {}

    # ---- institutions
    def territory(self, who):
        code = who.get("territory")
        return U if code is None else from_bool(any(code.startswith(p) for p in PREFIX[self.pack]))

    def tertiary_a_public(self, who):
        return all_of(equals(who.get("level"), "tertiary"), equals(who.get("grade"), "A"),
                      equals(who.get("ownership"), "public"))

    @staticmethod
    def period(who, day):
        found = None
        for p in who["listing"]:
            begin, end = date(p.get("from")), date(p.get("to"))
            if (begin is None or begin <= day) and (end is None or day <= end):
                found = p
        return found

    def issuer_listed(self):
        if self.issuer.get("listing") is None:
            return U
        return from_bool(self.period(self.issuer, self.D) is not None)

    def issuer_standing(self):
        if self.issuer.get("listing") is None:
            return U
        p = self.period(self.issuer, self.D)
        return NA if p is None else equals(p.get("status"), "listed")

    def receiver_listed(self):
        if self.receiver.get("listing") is None:
            return U
        p = self.period(self.receiver, self.D)
        return F if p is None else equals(p.get("status"), "listed")

    def not_rectifying(self):
        if not self.issuer.get("listing") or self.E is None:
            return U
        p = self.period(self.issuer, self.E)
        return from_bool(p is None or p["status"] != "rectifying")

    def shared(self, kinds):
        sides = []
        for who in (self.issuer, self.receiver):
            alliances = who.get("alliances")
            sides.append(None if alliances is None else
                         {a["id"] for a in alliances if (a.get("kind") or "other") in kinds})
        if any(s is not None and not s for s in sides):
            return F
        if None in sides:
            return U
        return from_bool(bool(sides[0] & sides[1]))

    def both_public(self):
        return all_of(*(equals(w.get("ownership"), "public") for w in (self.issuer, self.receiver)))

    def level_in(self, who, levels):
        level = who.get("level")
        return U if level is None else from_bool(level in levels)

    def same_level(self, levels):
        a, b = self.issuer.get("level"), self.receiver.get("level")
        equal = U if a is None or b is None else from_bool(a == b)
        return all_of(equal, self.level_in(self.issuer, levels), self.level_in(self.receiver, levels),
                      self.both_public())

    def scopes(self):
        if self.pack == "shanxi-2021":
            return [(self.same_level(["tertiary", "secondary"]), "must"),
                    (self.shared({"city_group", "county_group", "other"}), "must")]
        if self.pack == "hubei-2023":
            return [(self.same_level(["tertiary", "secondary", "primary"]), "must"),
                    (self.shared({"city_group", "county_group"}), "must"),
                    (all_of(self.level_in(self.issuer, ["tertiary"]),
                            self.level_in(self.receiver, ["secondary", "primary"]),
                            self.both_public()), "should")]
        if self.pack == "taiyuan-2024":
            def assessed(who):
                return all_of(self.level_in(who, ["secondary"]), from_bool(who.get("assessed")))
            return [(all_of(self.level_in(self.issuer, ["tertiary"]),
                            self.level_in(self.receiver, ["tertiary", "secondary"]),
                            self.both_public()), "should"),
                    (all_of(assessed(self.issuer),
                            any_of(self.level_in(self.receiver, ["tertiary"]), assessed(self.receiver)),
                            self.both_public()), "should")]
        return [(T, "must")]

    # ---- item
    def item_listed(self):
        if self.code is None:
            return U
        if self.item is None:
            return F
        if self.pack in ("hunan-2025", "taiyuan-2024"):
            return U if self.annex is None else from_bool(self.annex.get("listed"))
        listed = MEMBERS[self.pack]
        related = RELATIONS.get(self.code, [])
        if self.pack == "shanxi-2021" and self.kind == "lab":
            def on_list(who):
                by_level = {"tertiary": set(), "secondary": set()}
                for r in LISTS[self.pack]:
                    if r["applies_to"] in by_level and "DUPLICATE_ENTRY" not in r["conditions"]:
                        by_level[r["applies_to"]].add(r["code"])
                level = who.get("level")
                if level is None:
                    return U if self.code in by_level["tertiary"] else F
                return from_bool(self.code in by_level.get(level, set()))
            return all_of(on_list(self.issuer), on_list(self.receiver))
        if self.pack == "shanxi-2021":
            if self.code == "IMG.CLASS.CT64" or ("class_member_if", "IMG.CLASS.CT64") in related:
                rows = self.result.get("detector_rows")
                return U if rows is None else from_bool(rows >= 64)
            return from_bool(self.code in listed or any(
                rel in ("narrower", "class_member") and to in listed for rel, to in related))
        if self.code in listed or any(rel == "narrower" and to in listed for rel, to in related):
            return T
        if self.pack == "hubei-2023" and any(rel == "narrower_if" and to in listed for rel, to in related):
            return from_bool(self.result.get("protocol_complete"))
        return F

    def full_force(self):
        return from_bool(not any(r["code"] == self.code and r.get("force") for r in LISTS[self.pack]))

    def protocol(self):
        if self.kind != "imaging":
            return NA
        wanted = {self.code} | {to for rel, to in RELATIONS.get(self.code, []) if rel in ("narrower", "narrower_if")}
        if not any(r["code"] in wanted and r.get("protocol") == "yes" for r in LISTS[self.pack]):
            return NA
        return from_bool(self.result.get("protocol_complete"))

    def side(self):
        fixed = self.item["side"] if self.item else ""
        seen, asked = self.result.get("side"), self.order.get("side")
        if fixed == "":
            return NA
        if fixed == "open":
            if seen is None:
                return U
            return from_bool(asked is None or asked == seen or seen == "both")
        if seen is not None and seen != "both" and seen != fixed:
            return U
        return from_bool(asked is None or asked == fixed)

    def site(self):
        if not self.item or self.item["site"] != "open":
            return NA
        seen, asked = self.result.get("body_site"), self.order.get("body_site")
        if seen is None:
            return U
        return from_bool(asked is None or asked == seen)

    # ---- time and quality
    def window(self):
        limit = 30
        if self.pack == "hunan-2025":
            limit = None if self.annex is None else self.annex.get("limit_days")
            if limit is None:
                return NA
        if self.E is None or self.E > self.D:
            return U
        return from_bool((self.D - self.E).days <= limit)

    @staticmethod
    def latest(rounds):
        best = None
        for r in rounds:
            if best is None or date(r["date"]) >= date(best["date"]):
                best = r
        return best

    def by(self, day, organiser=None):
        return self.latest([r for r in self.quality["rounds"] if date(r["date"]) <= day
                            and organiser in (None, r["organiser"])])

    def quality_check(self):
        lab = self.kind == "lab"
        if self.pack == "taiyuan-2024" or (self.pack == "chuanyu-2022" and not lab):
            return NA
        if self.quality is None or self.quality.get("rounds") is None:
            return U
        rounds = self.quality["rounds"]
        now = self.by(self.D)
        if self.pack != "chuanyu-2022" and now is not None and not now["passed"]:
            return F
        if self.E is None:
            return U
        then = self.by(self.E)
        if self.pack == "chuanyu-2022":
            picked = [self.by(day, o) for o in ("national", "provincial") for day in (self.E, self.D)]
            if any(r is not None and not r["passed"] for r in picked) or then is None:
                return F
            return T
        if self.pack == "hubei-2023" and lab:
            before = self.latest([r for r in rounds if date(r["date"]).year == self.E.year - 1])
            begin = dt.date(self.E.year, 1, 1) if self.E.month > 6 else dt.date(self.E.year - 1, 7, 1)
            recent = any(begin <= date(r["date"]) <= self.E for r in rounds)
            return from_bool(before is not None and before["passed"] and recent)
        result = U if then is None else from_bool(then["passed"])
        if self.pack == "hunan-2025":
            halves = self.quality.get("institution")
            label = f"{self.D.year:04}H{1 if self.D.month <= 6 else 2}"
            past = [] if halves is None else sorted((h for h in halves if h["half"] < label),
                                                    key=lambda h: h["half"])
            result = all_of(result, from_bool(past[-1]["passed"]) if past else U)
        return result

    def inspection(self):
        if self.quality is None:
            return U
        year = self.quality.get("inspection_failed_year")
        if year is None:
            return T
        if year == self.D.year:
            return U
        return from_bool(year + 1 != self.D.year)

    def marked(self):
        marks = self.result.get("marks")
        if marks is None:
            return U
        bare = {"".join(c for c in m if c not in SPACE) for m in marks}
        found = from_bool(bool(bare & set(MARKS[self.pack])))
        if self.pack == "shanxi-2021":
            return all_of(found, from_bool(self.result.get("mark_note")))
        return found

    def of_kind(self, kind, value):
        return value if self.kind == kind else NA

    def checks(self):
        r, p = self.result, self.pack
        status = r.get("status")
        c = {"in_force": U if self.start is None else from_bool(self.D >= self.start),
             "issuer_territory": self.territory(self.issuer)}
        if p == "chuanyu-2022":
            c["issuer_class"] = self.tertiary_a_public(self.issuer)
        c["issuer_listed"] = self.issuer_listed()
        c["issuer_standing"] = self.issuer_standing()
        c["receiver_territory"] = self.territory(self.receiver)
        if p == "chuanyu-2022":
            c["receiver_class"] = self.tertiary_a_public(self.receiver)
        c["receiver_listed"] = self.receiver_listed()
        if p == "hunan-2025":
            c["issuer_not_rectifying_on_exam"] = self.not_rectifying()
        c["scope"] = any_of(*(v for v, _ in self.scopes()))
        c["item_listed"] = self.item_listed()
        c["usable"] = U if status is None else from_bool(status != "cancelled")
        c["final"] = U if status is None else from_bool(status in ("final", "corrected"))
        c["examined_before_decision"] = U if self.examined is None else from_bool(self.examined <= self.at)
        c["made_in_force"] = NA if self.start is None else U if self.E is None else from_bool(self.E >= self.start)
        if p in ("taiyuan-2024", "hunan-2025"):
            c["window"] = self.window()
        c["quality"] = self.quality_check()
        if p == "chuanyu-2022":
            c["inspection"] = self.inspection()
        c["marked"] = self.marked()
        if p in ("shanxi-2021", "taiyuan-2024"):
            c["images"] = self.of_kind("imaging", from_bool(r.get("images")))
        if p == "shanxi-2021":
            c["full_force"] = self.full_force()
        if p == "chuanyu-2022":
            c["method_and_interval"] = self.of_kind(
                "lab", all_of(from_bool(r.get("method")), from_bool(r.get("reference_interval"))))
            c["reviewed"] = self.of_kind("imaging", from_bool(r.get("reviewed")))
        if p == "hubei-2023":
            c["protocol"] = self.protocol()
        c["side"] = self.side()
        c["site"] = self.site()
        return c

    def cap(self, check, value, checks, at_best):
        if value in (T, NA) or (value == U and at_best):
            return "must"
        if check == "item_listed" and self.pack == "hunan-2025":
            close = self.shared({"city_group", "county_group"})
            return "should" if close == T or (at_best and close == U) else "may"
        if check == "quality" and value == F:
            return "barred" if checks["marked"] == T and checks["item_listed"] == T else "may"
        false, unknown = {
            "in_force": ("no_rule", "should"), "issuer_standing": ("barred", "may"),
            "issuer_not_rectifying_on_exam": ("barred", "may"), "scope": ("must", "must"),
            "item_listed": ("may", "may"), "final": ("may", "may"),
            "examined_before_decision": ("may", "may"), "made_in_force": ("may", "may"),
            "window": ("barred" if self.pack == "hunan-2025" else "may", "may"),
            "quality": ("may", "should"), "inspection": ("barred", "should"), "marked": ("may", "may"),
            "images": ("may", "may"), "full_force": ("should", "must"),
            "method_and_interval": ("should", "should"), "reviewed": ("should", "should"),
            "protocol": ("should", "should"), "side": ("may", "may"), "site": ("may", "may"),
        }.get(check, ("no_rule", "may"))
        return false if value == F else unknown

    # ---- what follows
    def reason(self, checks, verdict):
        given = self.doctor.get("circumstances") or []
        if not given:
            return {"status": "none", "codes": [], "missing": []}
        known = {"NEG." + n for n in NEGATIVE[self.pack].split()}
        known |= {"chuanyu-2022": {"CLINICAL"}, "shanxi-2021": {"SIGNED_NEED"}}.get(self.pack, set())
        codes, lacking = [], False
        for c in given:
            code, note = c.get("code"), c.get("note") or ""
            if code not in known or (code == "NEG.IMAGE_INADEQUATE" and self.kind != "imaging") or \
                    (code == "NEG.EXPIRED" and checks.get("window") == T):
                continue
            needs = code in ("NEG.OTHER", "CLINICAL", "SIGNED_NEED") or \
                (code == "NEG.EXPIRED" and checks.get("window") != F)
            if needs and all(ch in SPACE for ch in note):
                lacking = True
            else:
                codes.append(code)
        status = "accepted" if codes else "incomplete" if lacking else "rejected"
        missing = ["note"] if status == "incomplete" else []
        if self.pack == "shanxi-2021" and verdict in ("must", "should") and status != "rejected" and \
                self.doctor.get("title") not in ("intermediate", "associate", "chief") and \
                "NEG.EMERGENCY" not in codes:
            status = "incomplete"
            missing.append("sign_off")
        return {"status": status, "codes": codes, "missing": missing}

    def obligations(self, verdict, form, reason):
        if verdict == "no_rule":
            return {"if_recognized": [], "if_repeated": []}
        done = {"shanxi-2021": ["record_in_detail"], "hubei-2023": ["record"],
                "taiyuan-2024": ["record_institution_date_file_no"]}.get(self.pack, [])[:]
        if self.pack == "shanxi-2021" and form == "reread_reissue":
            done.append("reissue_report")
        if done and self.given.get("encounter") == "inpatient":
            done.append("keep_in_inpatient_file")
        again = []
        if self.pack == "shanxi-2021" and verdict in ("must", "should"):
            again = ["sign_off_after" if "NEG.EMERGENCY" in reason["codes"] else "sign_off"]
        if self.pack in ("hunan-2025", "hubei-2023", "taiyuan-2024"):
            again = ["inform_purpose_and_need"]
        if self.pack == "taiyuan-2024":
            again.append("record_basis")
        return {"if_recognized": done, "if_repeated": again}

    def decide(self):
        checks = self.checks()
        weakest = lambda values: min(values, key=STRENGTH.index)
        strongest = lambda values: max(values, key=STRENGTH.index)
        verdicts = []
        for at_best in (False, True):
            base = strongest(["may"] + [force for v, force in self.scopes() if v == T or (at_best and v == U)])
            verdicts.append(weakest([base] + [self.cap(k, v, checks, at_best) for k, v in checks.items()]))
        verdict, at_best = verdicts
        form = "direct"
        if self.pack == "shanxi-2021":
            form = {"imaging": "reread_reissue", "pathology": "direct_or_reread_reissue"}.get(self.kind, "direct")
        reason = self.reason(checks, verdict)
        firm = verdict in ("must", "should")
        billing = None
        if self.pack == "hubei-2023" and firm:
            billing = {"if_recognized": "consultation_and_joint_reading" if self.doctor.get("needs_department")
                       else "consultation",
                       "if_repeated": "actual_service" if reason["status"] == "accepted" else "no_charge"}
        plain = self.result.get("status") == "final" and self.result.get("critical") is False
        return {"pack": self.pack, "verdict": verdict, "at_best": at_best,
                "unknown": [k for k, v in checks.items() if v == U], "checks": checks,
                "default": "recognize" if firm and plain else "ask", "form": form,
                "repeat": {"must": "listed_reason", "should": "reason"}.get(verdict, "free"),
                "reason": reason, "obligations": self.obligations(verdict, form, reason), "billing": billing}

    def mark(self):
        alone = Case({**self.given, "receiver": self.issuer})
        c = alone.checks()
        value = all_of(*(c[k] for k in ("in_force", "issuer_territory", "issuer_class", "issuer_listed",
                                        "issuer_standing", "item_listed", "quality")
                         if k in c and c[k] != NA))
        if value != T:
            return {"mark": False if value == F else U, "text": None, "row_sign": None, "footnote": None}
        text, sign, note = {
            "shanxi-2021": ("*", "*", "“*”为临床检查检验互认项目。"),
            "chuanyu-2022": ("川渝HR", None, None),
            "hunan-2025": ("互认", "互认", None),
            "hubei-2023": ("鄂HR", "★", "项目名称前标注“★”为互认检验项目。" if self.kind == "lab" else None),
            "taiyuan-2024": ("并HR", "并HR", "‘并HR’为可在全市范围内互认的检查项目"),
        }[self.pack]
        return {"mark": True, "text": text, "row_sign": sign, "footnote": note}


# ---- inputs ---------------------------------------------------------------------

HOME = {"shanxi-2021": ["140100", "140200"], "chuanyu-2022": ["510100", "500103"],
        "hunan-2025": ["430100", "430300"], "hubei-2023": ["420100", "420500"],
        "taiyuan-2024": ["140105", "140100"]}


def good(pack, rng):
    """An input whose verdict is as strong as the pack can give, for a random listed item."""
    day = dt.date(2024, 1, 1) + dt.timedelta(days=rng.randrange(1000))
    exam = day - dt.timedelta(days=rng.randrange(0, 29))
    codes = sorted(MEMBERS[pack]) or sorted(CATALOG)
    if pack == "shanxi-2021":
        codes = [c for c in codes if CATALOG[c]["kind"] != "lab"] + \
            [r["code"] for r in LISTS[pack] if r["applies_to"] == "secondary"]
    if pack == "taiyuan-2024":
        codes = [c for c in codes if CATALOG[c]["kind"] == "imaging"]
    code = rng.choice(codes)
    fixed = CATALOG[code]["side"]

    def who(n):
        return {"territory": HOME[pack][n], "level": "tertiary", "grade": "A", "ownership": "public",
                "assessed": True, "alliances": [], "listing": [{"status": "listed", "from": "2021-01-01"}]}
    rounds = []
    for year in range(exam.year - 1, day.year + 1):
        for month in (3, 9):
            rounds.append({"organiser": rng.choice(["national", "provincial"]),
                           "date": f"{year}-{month:02}-{rng.randrange(1, 29):02}", "passed": True})
    return {"pack": pack, "at": f"{day}T10:{rng.randrange(60):02}:00+08:00", "in_force_from": "2021-09-03",
            "item": code, "issuer": who(0), "receiver": who(1),
            "result": {"examined_at": f"{exam}T08:00:00+08:00", "status": "final", "marks": [MARKS[pack][-1]],
                       "mark_note": True, "images": True, "method": True, "reference_interval": True,
                       "reviewed": True, "protocol_complete": True, "detector_rows": 64,
                       "side": fixed if fixed in ("left", "right") else "left", "body_site": "knee",
                       "critical": False},
            "quality": {"rounds": rounds, "institution": [
                {"half": f"{y}H{h}", "passed": True} for y in range(exam.year - 1, day.year + 1) for h in (1, 2)]},
            "annex": {"listed": True, "limit_days": 30} if pack in ("hunan-2025", "taiyuan-2024") else None,
            "order": {}, "encounter": "outpatient", "doctor": {"title": "intermediate"}}


def put(case, path, value):
    *folders, last = path.split(".")
    for f in folders:
        if not isinstance(case.get(f), dict):
            case[f] = {}
        case = case[f]
    case[last] = value


def shift(case, rng):
    """Days around the edges: window, year, half-year, start of force, midnight in UTC+8."""
    exam = instant(case["result"]["examined_at"])
    for_at = exam + dt.timedelta(days=rng.choice([-1, 0, 1, 6, 7, 8, 29, 30, 31, 89, 90, 91, 200, 400]),
                                 seconds=rng.choice([0, -1, 1, 57599, 57600]))
    zone = dt.timezone(dt.timedelta(hours=rng.choice([8, 0, -11, 14])))
    case["at"] = for_at.astimezone(zone).isoformat()
    if rng.random() < 0.3 and "." not in case["at"]:
        case["at"] = case["at"].replace("+", rng.choice([".25+", ".000001+"]), 1)


def rounds_at_random(case, rng):
    exam, now = civil(instant(case["result"]["examined_at"])), civil(instant(case["at"]))
    days = [exam, now, exam - dt.timedelta(days=1), exam + dt.timedelta(days=1), now + dt.timedelta(days=1),
            dt.date(exam.year - 1, 12, 31), dt.date(exam.year, 1, 1), dt.date(exam.year - 1, 7, 1),
            dt.date(exam.year - 1, 6, 30), dt.date(exam.year - 2, 12, 31)]
    put(case, "quality.rounds", [{"organiser": rng.choice(["national", "provincial"]),
                                  "date": str(rng.choice(days)), "passed": rng.random() < 0.75}
                                 for _ in range(rng.randrange(5))])


def halves_at_random(case, rng):
    year = civil(instant(case["at"])).year
    put(case, "quality.institution", [{"half": f"{year - rng.randrange(2)}H{rng.choice([1, 2])}",
                                       "passed": rng.random() < 0.7} for _ in range(rng.randrange(4))])


def listing_at_random(case, rng):
    day = lambda m: str(civil(instant(m)) + dt.timedelta(days=rng.choice([-40, -1, 0, 1, 40])))
    put(case, rng.choice(["issuer", "receiver"]) + ".listing", [
        {"status": rng.choice(["listed", "exited", "suspended", "rectifying"]),
         "from": rng.choice([None, day(case["at"]), day(case["result"]["examined_at"])]),
         "to": rng.choice([None, day(case["at"]), day(case["result"]["examined_at"])])}
        for _ in range(rng.randrange(4))])


def alliances_at_random(case, rng):
    for who in ("issuer", "receiver"):
        put(case, who + ".alliances", rng.choice([None, [], [
            {"id": rng.choice("ab"), "kind": rng.choice(["city_group", "county_group", "other", None])}
            for _ in range(rng.randrange(1, 4))]]))


def circumstances_at_random(case, rng):
    codes = sorted({"NEG." + n for p in NEGATIVE.values() for n in p.split()}) + \
        ["CLINICAL", "SIGNED_NEED", "NEG.UNHEARD_OF", ""]
    put(case, "doctor.circumstances", [{"code": rng.choice(codes), "note": rng.choice([None, "", " \u3000\t", "因为", "x"])}
                                       for _ in range(rng.randrange(4))])
    put(case, "doctor.title", rng.choice([None, "junior", "intermediate", "associate", "chief"]))
    put(case, "doctor.needs_department", rng.choice([None, True, False]))


CHOICES = {
    "in_force_from": lambda c, r: r.choice([None, str(civil(instant(c["at"]))), str(civil(instant(c["result"]["examined_at"]))),
                                            str(civil(instant(c["at"])) + dt.timedelta(days=1))]),
    "item": lambda c, r: r.choice([None, "LAB.NOT_THERE"] + r.sample(sorted(CATALOG), 6)),
    "issuer.territory": lambda c, r: r.choice([None, "14", "140100", "420100", "4", ""]),
    "receiver.territory": lambda c, r: r.choice([None, "1401", "140200", "110000"]),
    "issuer.level": lambda c, r: r.choice([None, "tertiary", "secondary", "primary", "none"]),
    "receiver.level": lambda c, r: r.choice([None, "tertiary", "secondary", "primary", "none"]),
    "issuer.grade": lambda c, r: r.choice([None, "A", "B", "C", "none"]),
    "receiver.grade": lambda c, r: r.choice([None, "B"]),
    "issuer.ownership": lambda c, r: r.choice([None, "private"]),
    "receiver.ownership": lambda c, r: r.choice([None, "private"]),
    "issuer.assessed": lambda c, r: r.choice([None, True, False]),
    "receiver.assessed": lambda c, r: r.choice([None, True, False]),
    "issuer.listing": lambda c, r: r.choice([None, []]),
    "receiver.listing": lambda c, r: r.choice([None, []]),
    "result.examined_at": lambda c, r: r.choice([c["at"], c["at"], c["result"]["examined_at"]]),
    "result.status": lambda c, r: r.choice([None, "final", "corrected", "preliminary", "cancelled"]),
    "result.marks": lambda c, r: r.choice([None, [], ["*"], ["鄂 HR"], ["\u3000互\u2003认"], ["川渝HR", "x"], ["并 HR"], ["★"],
                                           ["x鄂HR"], ["HR"]]),
    "result.mark_note": lambda c, r: r.choice([None, True, False]),
    "result.images": lambda c, r: r.choice([None, False]),
    "result.method": lambda c, r: r.choice([None, False]),
    "result.reference_interval": lambda c, r: r.choice([None, False]),
    "result.reviewed": lambda c, r: r.choice([None, False]),
    "result.protocol_complete": lambda c, r: r.choice([None, True, False]),
    "result.detector_rows": lambda c, r: r.choice([None, 16, 63, 64, 65]),
    "result.side": lambda c, r: r.choice([None, "left", "right", "both"]),
    "result.body_site": lambda c, r: r.choice([None, "hand", ""]),
    "result.critical": lambda c, r: r.choice([None, True]),
    "quality": lambda c, r: r.choice([None, {}]),
    "quality.inspection_failed_year": lambda c, r: civil(instant(c["at"])).year + r.choice([-2, -1, 0, 1]),
    "annex": lambda c, r: r.choice([None, {}, {"listed": False}, {"listed": True, "limit_days": r.choice([0, 7, 30, 90])}]),
    "order.side": lambda c, r: r.choice([None, "left", "right", "both"]),
    "order.body_site": lambda c, r: r.choice([None, "knee", "hand"]),
    "encounter": lambda c, r: r.choice([None, "inpatient", "emergency"]),
}
CHANGES = [rounds_at_random, halves_at_random, listing_at_random, alliances_at_random,
           circumstances_at_random, shift]


def change(case, rng):
    if rng.random() < 0.45:
        rng.choice(CHANGES)(case, rng)
    else:
        path = rng.choice(sorted(CHOICES))
        put(case, path, CHOICES[path](case, rng))


def at_random(rng):
    pack = rng.choice(sorted(PREFIX))
    case = rng.choice(list(edges(pack, rng))) if rng.random() < 0.1 else good(pack, rng)
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 5, 8])):
        change(case, rng)
        if case["result"].get("examined_at") is None:
            break
    if rng.random() < 0.03:
        put(case, "result.examined_at", None)
    return case


def edges(pack, rng):
    """Cases at the edges of the rules: days, half-years, ties, kinds of alliances, sides."""
    def at(day, exam, **more):
        case = good(pack, rng)
        case["at"], case["result"]["examined_at"] = f"{day}T00:00:00+08:00", f"{exam}T23:59:59+08:00"
        case["in_force_from"] = "2020-01-01"
        case["quality"]["rounds"] = [{"organiser": "national", "date": d, "passed": True}
                                     for d in ("2022-09-01", "2023-03-01", "2023-09-01", "2024-03-01")]
        for path, value in more.items():
            put(case, path.replace("__", "."), value)
        return case
    for days in (29, 30, 31):
        day = dt.date(2024, 5, 20)
        yield at(day, day - dt.timedelta(days=days))
    for exam in ("2023-12-31", "2024-01-01", "2024-06-30", "2024-07-01"):
        for only in ("2023-06-30", "2023-07-01", "2023-12-31", "2024-01-01"):
            yield at("2024-07-02", exam, quality__rounds=[
                {"organiser": "provincial", "date": only, "passed": True},
                {"organiser": "provincial", "date": "2022-11-11", "passed": True}])
    for first in (True, False):  # two rounds of one day: the last in the list holds
        yield at("2024-05-20", "2024-05-10", quality__rounds=[
            {"organiser": "national", "date": "2023-10-10", "passed": True},
            {"organiser": "national", "date": "2024-04-04", "passed": first},
            {"organiser": "national", "date": "2024-04-04", "passed": not first}])
    failed = [{"organiser": "national", "date": "2024-04-04", "passed": False}]
    for item in (None, "LAB.NOT_THERE"):
        yield at("2024-05-20", "2024-05-10", item=item, quality__rounds=failed)
    yield at("2024-05-20", "2024-05-10", result__marks=[], quality__rounds=failed)
    for ours in ("city_group", "county_group", "other"):
        for theirs in ("city_group", "other"):
            yield at("2024-05-20", "2024-05-10", issuer__alliances=[{"id": "a", "kind": ours}],
                     issuer__level="none", annex=None, receiver__alliances=[
                         {"id": "a", "kind": theirs}, {"id": "b", "kind": "city_group"}])
    for code in sorted(c for c in CATALOG if CATALOG[c]["side"])[::7]:
        for seen in (None, "left", "right", "both"):
            for asked in (None, "left", "both"):
                if rng.random() < 0.25:
                    yield at("2024-05-20", "2024-05-10", item=code, result__side=seen, order__side=asked)


def vectors(pack):
    """The edges, then cases until each check was seen with each value it can take, and each
    verdict, reason and duty; at least 110."""
    rng = random.Random("vectors of " + pack)
    seen, kept = {}, []
    for case in edges(pack, rng):
        kept.append({"input": case, "expect": Case(case).decide()})
    for n in range(40000):
        case = good(pack, rng)
        if n % 10 == 9:
            case["item"] = rng.choice([c for c in sorted(CATALOG) if CATALOG[c]["site"] == "open"])
        for _ in range(0 if n == 0 else rng.choice([1, 1, 1, 2, 3])):
            change(case, rng)
        if rng.random() < 0.05:
            put(case, "result.examined_at", None)
        answer = Case(case).decide()
        facts = [f"{k}={v}" for k, v in answer["checks"].items()]
        facts += [f"{k}:{answer[k]}" for k in ("verdict", "at_best", "default", "form", "repeat", "billing")]
        facts += [f"reason:{answer['reason']['status']}{answer['reason']['missing']}", str(answer["obligations"])]
        facts += [f"code:{c}" for c in answer["reason"]["codes"]]
        facts += [f"alone:{k}={v}" for k, v in answer["checks"].items()
                  if v in (F, U) and sum(x in (F, U) for x in answer["checks"].values()) == 1]
        if any(seen.get(f, 0) < 1 for f in facts) or n > 39980:
            for f in facts:
                seen[f] = seen.get(f, 0) + 1
            kept.append({"input": case, "expect": answer})
    return kept


# ---- commands -------------------------------------------------------------------

def ask(huren, command, cases):
    run = subprocess.run([huren, "policy", command], text=True, capture_output=True,
                         input="".join(json.dumps(c) + "\n" for c in cases))
    if run.returncode != 0:
        sys.exit(f"huren policy {command} ended with {run.returncode}: {run.stderr}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def differences(expected, answer):
    found = [f"{k}: {answer.get(k)} where {v} is expected" for k, v in expected.items() if answer.get(k) != v]
    if "checks" in expected and list(expected["checks"]) != list(answer["checks"]):
        found.append("checks stand in another order")
    return found


def check(huren, count, seed):
    rng = random.Random(seed)
    cases = [at_random(rng) for _ in range(count)]
    verdicts, marks = {}, {}
    for command in ("decide", "mark"):
        for case, answer in zip(cases, ask(huren, command, cases), strict=True):
            expected = getattr(Case(case), command)()
            found = differences(expected, answer)
            if found:
                print(json.dumps(case, ensure_ascii=False), *found, sep="\n  ")
                sys.exit(1)
            if command == "decide":
                verdicts[answer["verdict"]] = verdicts.get(answer["verdict"], 0) + 1
            else:
                marks[str(answer["mark"])] = marks.get(str(answer["mark"]), 0) + 1
    print(f"{count} inputs, seed {seed}: both decide alike; verdicts {verdicts}, marks {marks}")


def main():
    if sys.argv[1:2] == ["check"] and len(sys.argv) > 2:
        check(sys.argv[2], int((sys.argv[3:] or ["3000"])[0]), int((sys.argv[4:] or ["1"])[0]))
    elif sys.argv[1:2] == ["vectors"] and len(sys.argv) == 3:
        for v in vectors(sys.argv[2]):
            print(json.dumps(v, ensure_ascii=False, separators=(",", ":")))
    elif sys.argv[1:2] == ["cases"] and len(sys.argv) == 3:
        lines = open(sys.argv[2], encoding="utf-8").read().splitlines()
        for number, line in enumerate(lines, 1):
            found = differences((c := json.loads(line))["expect"], Case(c["input"]).decide())
            if found:
                sys.exit(f"case {number}: {found}")
        print(f"{len(lines)} cases: equal")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
