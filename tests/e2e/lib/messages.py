#!/usr/bin/env python3
"""Messages and CSV for the scenarios, each report of its own patient.

usage: messages.py FIRST COUNT [--tag TAG] [--value V] [--status F|C|X] [--days N]
                   [--csv] [--charset gb18030] [--batch]
       messages.py --card N          print the resident card of patient N

Report n is <TAG>-<n>, of the patient with the nth card; card 0 is the specimen number
that the Chinese standard itself prints (GB 11643).  All are made up: area 110105,
births in 1949 and later, and the check digit of GB 11643.
"""
import argparse
import datetime
import sys

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
NAME = "欧阳测试"


def card(n):
    if n == 0:
        return "11010519491231002X"
    day = datetime.date(1950, 1, 1) + datetime.timedelta(days=n // 900)
    digits = "110105" + day.strftime("%Y%m%d") + "%03d" % (n % 900 + 1)
    return digits + "10X98765432"[sum(int(d) * w for d, w in zip(digits, WEIGHTS)) % 11]


def message(n, a):
    number = card(n)
    sex = "M" if int(number[16]) % 2 else "F"
    at = datetime.datetime.now() - datetime.timedelta(days=a.days)
    day = at.strftime("%Y%m%d")
    charset = {"gb18030": "GB18030"}.get(a.charset, "UNICODE UTF-8")
    return "\r".join([
        f"MSH|^~\\&|LIS|HOSP|HUREN|HUB|{day}093000||ORU^R01^ORU_R01|{a.tag}{n}|P|2.5.1||||||{charset}",
        f"PID|1||{number}^^^^NI||{NAME}||{number[6:14]}|{sex}",
        f"OBR|1|A{a.tag}{n}|{a.tag}-{n}|24321-2^电解质^LN|||{day}080500|||||||||||||||{day}093000||CH|{a.status}",
        f"OBX|1|NM|2823-3^钾^LN||{a.value}|mmol/L|3.5-5.3||||{a.status}|||{day}080500",
        ""])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("first", type=int, nargs="?")
    p.add_argument("count", type=int, nargs="?", default=1)
    p.add_argument("--card", type=int)
    p.add_argument("--tag", default="R")
    p.add_argument("--value", default="4.10")
    p.add_argument("--status", default="F")
    p.add_argument("--days", type=int, default=2)
    p.add_argument("--charset", default="utf-8")
    p.add_argument("--csv", action="store_true")
    p.add_argument("--batch", action="store_true")
    a = p.parse_args()
    if a.card is not None:
        print(card(a.card))
        return
    numbers = range(a.first, a.first + a.count)
    if a.csv:
        day = (datetime.datetime.now() - datetime.timedelta(days=a.days)).strftime("%Y-%m-%d")
        text = "report_id,resident_card,name,item,value,unit,examined_at\n" + "".join(
            f"{a.tag}-{n},{card(n)},{NAME},LAB.K,{a.value},mmol/L,{day} 08:05\n" for n in numbers)
    else:
        text = "".join(message(n, a) for n in numbers)
        if a.batch:
            text = f"FHS|^~\\&|LIS\rBHS|^~\\&|LIS\r{text}BTS|{a.count}\rFTS|1\r"
    sys.stdout.buffer.write(text.encode(a.charset))


if __name__ == "__main__":
    main()
