"""Android's own programs, as far as hwnas calls them: small shell scripts over the files in `state/`.

The texts follow what phones print: `dumpsys battery` of Android 8 to 14, `dumpsys thermalservice` of Android 10 to 14.
"""

BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: {usb}
  Wireless powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 2841000
  status: {status}
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4245
  temperature: {t}
  technology: Li-ion
"""

THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 3
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 5
\tkilled: false
\tbroadcasts count: -1
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=20.0, mType=3, mName=VIRTUAL-SKIN, mStatus=0}}
HAL Ready: true
HAL connection:
\tThermalHAL AIDL 2  connected: yes
Current temperatures from HAL:
\tTemperature{{mValue={cpu}, mType=0, mName=BIG, mStatus=0}}
\tTemperature{{mValue={skin}, mType=3, mName=VIRTUAL-SKIN, mStatus={status}}}
\tTemperature{{mValue=NaN, mType=9, mName=TPU, mStatus=0}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-2}}
Temperature static thresholds from HAL:
\tTemperatureThreshold{{mType=3, mName=VIRTUAL-SKIN, mHotThrottlingThresholds=[NaN, 39.0, 43.0, 45.0, 46.5]}}
"""

#: Android's own is toybox with BoringSSL, which uses the processor's instructions for SHA-256; coreutils' may not.
SHA256SUM = """\
#!/bin/sh
command -v openssl >/dev/null && exec openssl dgst -sha256 -r "$@"
exec {python} -IS -c '
import hashlib, sys
with open(sys.argv[1], "rb") if sys.argv[1:] else sys.stdin.buffer as file:
    print(hashlib.file_digest(file, "sha256").hexdigest(), "-")
' "$@"
"""

PROGRAMS = {
    "own-processes": """\
grep -lsaF "PHONE=$PHONE" /proc/[0-9]*/environ
""",
    "getprop": """\
if [ $# -eq 0 ]; then
    sed 's/^\\([^=]*\\)=\\(.*\\)$/[\\1]: [\\2]/' "$PHONE/state/properties"
else
    sed -n "s/^$1=//p" "$PHONE/state/properties" | grep . || echo
fi
""",
    "dumpsys": """\
file=$PHONE/state/dumpsys/$1
if [ -s "$file" ]; then cat "$file"; else echo "Can't find service: $1" >&2; fi
""",
    "cmd": """\
if [ "$1 $2" = "power set-fixed-performance-mode-enabled" ]; then
    if [ "$(getprop ro.build.version.sdk)" -lt 30 ]; then echo "Unknown command: $2"; exit 255; fi
    echo "$3" > "$PHONE/state/fixed_performance"
else
    echo "cmd: Can't find service: $1" >&2; exit 20
fi
""",
    "settings": """\
file=$PHONE/state/settings/$2/$3
case $1 in
    get) if [ -e "$file" ]; then cat "$file"; else echo null; fi ;;
    put) printf '%s\\n' "$4" > "$file" ;;
    delete) rm -f "$file"; echo "Deleted 1 rows" ;;
    *) echo "Invalid command: $1" >&2; exit 255 ;;
esac
""",
    "svc": """\
if [ "$1 $2" = "power stayon" ]; then
    case $3 in true) n=7 ;; usb) n=2 ;; false) n=0 ;; *) exit 1 ;; esac
    settings put global stay_on_while_plugged_in $n
fi
""",
    "input": """\
if [ "$1 $2" = "keyevent KEYCODE_WAKEUP" ] || [ "$1 $2" = "keyevent 224" ]; then
    printf Awake > "$PHONE/state/wakefulness"
    sed -i 's/mWakefulness=.*/mWakefulness=Awake/' "$PHONE/state/dumpsys/power"
fi
""",
}
